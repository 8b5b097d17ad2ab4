"""A clock is known by what it does; what a person sorted, or a setting, is none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.doctor import check_table
from vae_anomaly.data.tables.kinds.clocks import says_time
from vae_anomaly.data.tables.kinds.names import says_code
from vae_anomaly.data.tables.kinds.order import follows
from vae_anomaly.data.tables.schema import Schema

N = 2000


def amounts(n: int = N, seed: int = 0) -> np.ndarray:
    return np.round(np.exp(np.random.default_rng(seed).normal(4, 1, n)), 2)


def seconds(n: int = N, days: float = 2, seed: int = 1) -> np.ndarray:
    """When rows came, in seconds since the first midnight, more of them by day."""
    rng = np.random.default_rng(seed)
    clock = rng.integers(0, int(days), n) * 86_400 + rng.normal(50_000, 15_000, n) % 86_400
    return np.sort(clock.round())


def kinds_of(frame: pd.DataFrame, **options: object) -> dict[str, str]:
    return {c.name: c.kind.value for c in Schema.infer(frame, **options).columns}  # type: ignore[arg-type]  # options of mixed types


@pytest.mark.parametrize("n_dates", [1, 2, 7, 14, 60])
def test_dates_without_a_time_of_day_leave_the_amounts_in(n_dates):
    rng = np.random.default_rng(n_dates)
    dates = pd.date_range("2024-03-01", periods=n_dates).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"date": rng.choice(dates, N), "amount": amounts()})
    assert kinds_of(frame)["amount"] == "numeric"


def test_a_coarse_date_beside_a_good_one_takes_nothing_with_it():
    at = pd.Timestamp("2024-03-01") + pd.to_timedelta(seconds(), unit="s")
    frame = pd.DataFrame({"at": at, "load_ts": "2024-03-09 02:00", "amount": amounts()})
    frame["business_date"] = frame["at"].dt.date
    frame["elapsed"] = (frame["at"] - frame["at"].min()).dt.total_seconds()
    kinds = kinds_of(frame.sample(frac=1, random_state=0))
    assert kinds["amount"] == "numeric"
    assert kinds["elapsed"] == "ignored"


def test_few_dates_are_evidence_only_where_many_values_lie_apart():
    day = np.repeat([0.0, 1.0, 2.0], 500)
    apart = day * 1000 + np.random.default_rng(0).uniform(0, 900, 1500)
    rates = np.array([1.08, 1.09, 1.11])[day.astype(int)]
    assert follows(apart, day)
    assert not follows(rates, day)
    assert not follows(amounts(1500), day)


def test_a_clock_is_known_with_late_rows_ties_and_missing_cells():
    clock, values = np.arange(5000.0), np.arange(5000.0) // 3
    values[[17, 1800, 4000]] = values[[4000, 17, 1800]]
    values[::11] = np.nan
    clock[5::13] = np.nan
    shuffled = np.random.default_rng(0).permutation(5000)
    assert follows(values[shuffled], clock[shuffled])
    assert follows(-values[shuffled], clock[shuffled])
    values[::5] = np.roll(values[::5], 3)
    assert not follows(values, clock)


@pytest.mark.parametrize("values", [np.arange(19.0), np.arange(40.0) // 20, np.full(40, np.nan)])
def test_what_is_too_little_to_judge_follows_nothing(values):
    assert not follows(values, np.arange(float(len(values))))


STAND_INS = {
    "seconds": lambda: pd.DataFrame({"Time": seconds(), "V1": amounts(seed=2)}),
    "hours": lambda: pd.DataFrame({"step": (seconds(days=9) // 3600).astype(int)}),
    "newest first": lambda: pd.DataFrame({"unixTime": seconds()[::-1] + 0.25}),
    "days": lambda: pd.DataFrame({"TX_TIME_DAYS": (seconds(days=9) // 86_400).astype(int)}),
    "no name": lambda: pd.DataFrame({"c": np.sort(np.random.default_rng(0).integers(0, 9999, N))}),
    "files of shuffled rows": lambda: pd.DataFrame(
        {"elapsed_s": np.concatenate([k * 1e5 + np.random.default_rng(k).uniform(0, 8e4, 500)
                                      for k in range(4)])}
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", STAND_INS.values(), ids=STAND_INS)
def test_a_clock_is_left_out_with_no_timestamp_beside_it(table):
    frame = table()
    clock = frame.columns[0]
    schema = Schema.infer(frame.assign(amount=amounts(len(frame))))
    assert schema["amount"].kind == "numeric"
    assert schema[clock].kind in {"ignored", "identifier"}
    if schema[clock].kind == "ignored":
        assert f"--kind {clock}=numeric" in schema[clock].note


def test_a_table_that_a_person_sorted_has_no_clock():
    frame = pd.DataFrame({"amount": amounts(), "age": np.random.default_rng(1).integers(18, 90, N),
                          "width_mm": np.random.default_rng(2).normal(5, 1, N),
                          "wait_sec": np.random.default_rng(3).exponential(9, N),
                          "duration": np.random.default_rng(4).uniform(0, 9, N),
                          "process_time": np.random.default_rng(5).exponential(9, N)})  # fmt: skip
    for name in frame:
        assert set(kinds_of(frame.sort_values(name)).values()) == {"numeric"}, name


def test_a_setting_that_was_changed_twice_is_no_clock():
    at = pd.date_range("2024-03-01", periods=300, freq="h")
    frame = pd.DataFrame({"at": at, "pressure": np.repeat([2.0, 2.5, 3.0], 100)})
    assert kinds_of(frame)["pressure"] == "numeric"


def test_a_year_that_turns_once_is_a_clock():
    at = pd.date_range("2024-10-01", periods=300, freq="12h")
    frame = pd.DataFrame({"at": at, "year": at.year, "month": at.month})
    assert kinds_of(frame) == {"at": "timestamp", "year": "ignored", "month": "numeric"}


def test_leaving_a_timestamp_out_does_not_bring_its_twins_back():
    at = pd.Timestamp("2024-03-01") + pd.to_timedelta(seconds(), unit="s")
    unix = at.astype("datetime64[s]").astype("int64")
    frame = pd.DataFrame({"at": at, "x": unix, "day": unix // 86_400, "amount": amounts()})
    frame = frame.sample(frac=1, random_state=0)
    for kind in ("ignored", "identifier"):
        kinds = kinds_of(frame, overrides={"at": kind})
        assert kinds["amount"] == "numeric"
        assert kinds["x"] in {"ignored", "identifier"}
    kinds = kinds_of(frame[["x", "amount"]].rename(columns={"x": "unix_time"}).assign(
        hours=frame["x"] / 3600), overrides={"unix_time": "ignored"})  # fmt: skip
    assert kinds == {"unix_time": "ignored", "amount": "numeric", "hours": "ignored"}


def test_what_a_person_declared_stands():
    frame = pd.DataFrame({"Time": seconds() + 0.5, "amount": amounts()})
    assert kinds_of(frame, overrides={"Time": "numeric"})["Time"] == "numeric"


def test_of_shuffled_rows_the_name_alone_warns():
    frame = pd.DataFrame({"Time": seconds() + 0.5, "amount": amounts()})
    frame = frame.sample(frac=1, random_state=0)
    schema = Schema.infer(frame)
    assert schema["Time"].kind == "numeric"
    assert "--ignore Time" in schema["Time"].note
    (found,) = [f for f in check_table(frame).findings if f.code == "possible_clock"]
    assert found.severity == "warning"
    assert found.items == ("Time",)


@pytest.mark.parametrize(
    ("name", "is_clock"),
    [("TX_TIME_SECONDS", True), ("unixTime", True), ("step", True), ("Buchungsdatum", True),
     ("trans_date_trans_time", True), ("ts", True), ("Uhrzeit", True), ("amount", False),
     ("wait_sec", False), ("days_since_last", False), ("timely", False), ("sentiment", False),
     ("stepsize", False), ("min_temp", False), ("", False)],
)  # fmt: skip
def test_a_name_says_when_and_not_how_long(name, is_clock):
    assert says_time(name) == is_clock


@pytest.mark.parametrize("per_second", [1, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("name", ["unix_time", "x"])
def test_counts_since_1970_are_clocks_in_any_row_order(per_second, name):
    rng = np.random.default_rng(0)
    unix = 1_700_000_000 + rng.integers(0, 200_000, N) // 3 * 3
    for stored in (unix * per_second, (unix * per_second).astype(float)):
        column = Schema.infer(pd.DataFrame({name: stored, "amount": amounts()}))[name]
        assert (column.kind, column.role) == ("ignored", "clock")
        assert "2023-11-14 to 2023-11-17" in column.note
        declared = Schema.infer(pd.DataFrame({name: stored}), overrides={name: "timestamp"})
        assert declared.cast(pd.DataFrame({name: stored}))[name].dt.year.eq(2023).all()


def test_days_of_a_spreadsheet_are_clocks_where_the_name_says_so():
    days = 45_000 + np.random.default_rng(0).integers(0, 900, N) / 24
    frame = pd.DataFrame({"Buchungsdatum": days, "salary": days, "amount": amounts()})
    schema = Schema.infer(frame)
    assert (schema["Buchungsdatum"].kind, schema["salary"].kind) == ("ignored", "numeric")
    declared = Schema.infer(frame, overrides={"Buchungsdatum": "timestamp"})
    assert declared["Buchungsdatum"].time_format == "excel"
    assert declared.cast(frame)["Buchungsdatum"].min() == pd.Timestamp("2023-03-15")


def test_large_amounts_are_no_counts():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"cents": np.round(np.exp(rng.normal(21, 1, N))).astype("int64"),
                          "volume": rng.normal(1.5e9, 4e8, N),
                          "phone": rng.integers(10**9, 10**10, N),
                          "postcode": rng.integers(10_000, 99_999, N)})  # fmt: skip
    assert "clock" not in {c.role for c in Schema.infer(frame).columns}
    assert {Schema.infer(frame)[name].kind for name in ("cents", "volume")} <= {
        "numeric", "identifier",
    }  # fmt: skip


def test_months_as_digits_are_months():
    months = np.random.default_rng(0).choice([202311, 202312, 202401, 202402, 202403], N)
    for stored in (months, months.astype(str)):
        column = Schema.infer(pd.DataFrame({"booking_month": stored}))["booking_month"]
        assert (column.kind, column.parts) == ("timestamp", ("days",))


@pytest.mark.parametrize("name", ["zip", "merchant_zip", "Zip Code", "dsport", "PLZ", "order_id"])
def test_codes_are_known_by_name_and_amounts_are_none(name):
    assert says_code(name)
    assert not any(map(says_code, ["amount", "import_duty", "report_count", "zipper_length", "V4"]))


@pytest.mark.parametrize("days", [60, 500])
def test_a_year_beside_its_dates_is_a_clock_before_it_turns(days):
    at = pd.Timestamp("2024-01-05") + pd.to_timedelta(np.arange(600) % days, unit="D")
    frame = pd.DataFrame({"booked": at, "Jahr": at.year, "plant": 2024, "x": np.arange(600) % 7})
    schema = Schema.infer(frame)
    assert (schema["Jahr"].kind, schema["Jahr"].role) == ("ignored", "clock")
    assert "is the year of 'booked'" in schema["Jahr"].note
    assert schema["plant"].kind == "numeric"
