"""Dates are known by what they look like, and a model reads the parts of them that come again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import SchemaError

N = 400
RNG = np.random.default_rng(0)
DAYS = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 90, N), unit="D"))


def only(values: object, name: str = "at") -> object:
    return Schema.infer(pd.DataFrame({name: values}))[name]


@pytest.mark.parametrize(
    ("pattern", "form"),
    [("%d/%m/%y", "day_first"), ("%m/%d/%Y", "month_first"), ("%d-%b-%Y", "month_name"),
     ("%B %d, %Y", "month_name"), ("%Y%m%d", "compact"), ("%d.%m.%Y", "day_first"),
     ("%Y-%m-%d", "iso"), ("%y-%m-%d", "year_first")],
)  # fmt: skip
def test_text_of_dates_is_a_timestamp_in_its_format(pattern, form):
    column = only(DAYS.dt.strftime(pattern))
    assert (column.kind, column.time_format) == ("timestamp", form)
    read = Schema(columns=(column,)).cast(pd.DataFrame({"at": DAYS.dt.strftime(pattern)}))
    assert read["at"].tolist() == DAYS.tolist()


def test_days_as_digits_are_dates_however_they_are_stored():
    digits = DAYS.dt.strftime("%Y%m%d")
    for stored in (digits, digits.astype(int), digits.astype(float), digits.astype("Int64")):
        column = only(stored)
        assert (column.kind, column.time_format) == ("timestamp", "compact")
    assert only(RNG.integers(10_000_000, 99_999_999, N)).kind == "numeric"
    assert only(np.repeat([20240301, 20240302], 50), "price_minor").kind == "numeric"
    assert only(np.repeat([20240301, 20240302], 50), "booking_date").kind == "timestamp"


def test_a_date_that_could_be_two_says_so_with_the_option():
    column = only(["03/04/2024", "05/06/2024", "05/06/2023"] * 20)
    assert "month first" in column.note
    assert "--time-format at=day_first" in column.note


def test_cells_in_another_format_are_bad_and_named_never_swapped():
    texts = [*DAYS.dt.strftime("%d/%m/%Y"), "04/13/2024"]
    schema = Schema.infer(pd.DataFrame({"at": texts}))
    (fault,) = schema.bad_rows(pd.DataFrame({"at": texts})).dropna()
    assert fault[1] == (
        "column 'at': '04/13/2024' is not written like the column's other dates (day first)"
    )


def test_a_column_whose_zone_is_told_by_letters_is_refused_with_the_remedy():
    frame = pd.DataFrame({"at": DAYS.dt.strftime("%Y-%m-%d 10:00 CET"), "x": RNG.normal(size=N)})
    schema = Schema.infer(frame)
    assert schema["at"].kind == "timestamp"
    with pytest.raises(SchemaError, match=r"write \+01:00") as caught:
        schema.check(frame)
    assert "train a new model" not in str(caught.value)


@pytest.mark.parametrize(
    ("days", "parts"),
    [(90.0, None), (5.0, ("hour", "days")), (0.5, ("days",)), (0.0, ("days",))],
)
def test_a_short_training_reads_the_hour_without_the_weekday(days, parts):
    seconds = np.append(RNG.integers(0, int(86_400 * days) + 1, N), [0, int(86_400 * days)])
    column = only(pd.Timestamp("2024-03-01 07:00") + pd.to_timedelta(seconds, unit="s"))
    assert column.parts == parts
    assert ("not read" in column.note or "neither" in column.note) == (parts is not None)


def test_a_birth_date_is_read_for_the_age_only():
    born = pd.Timestamp("1940-01-01") + pd.to_timedelta(RNG.integers(0, 20_000, N), unit="D")
    assert only(born).parts == ("days",)
    months = pd.Series(["2024-01", "2024-02", "2024-03", "2024-04"] * 20)
    assert only(months).parts == ("days",)


def test_parts_that_a_person_wrote_stand():
    frame = pd.DataFrame({"at": DAYS.dt.strftime("%Y-%m-%d")})
    drawn_up = Schema.infer(frame).to_dict()
    drawn_up["columns"][0]["parts"] = ["days"]
    said = Schema.from_dict(drawn_up).columns
    assert Schema.infer(frame, said=said)["at"].parts == ("days",)


@pytest.mark.parametrize("pattern", ["%H:%M", "%H:%M:%S", "%I:%M %p", "%H:%M Uhr"])
def test_times_of_day_are_read_for_their_hour_however_they_are_stored(pattern):
    times = pd.Series(pd.Timestamp(0) + pd.to_timedelta(RNG.integers(0, 1440, N), unit="min"))
    column = only(times.dt.strftime(pattern), "Uhrzeit")
    assert (column.kind, column.time_format, column.parts) == (
        "timestamp", "time_of_day", ("hour",),
    )  # fmt: skip
    for stored in (times.dt.strftime(pattern), times.dt.time):
        read = Schema(columns=(column,)).cast(pd.DataFrame({"Uhrzeit": stored}))
        assert read["Uhrzeit"].tolist() == times.tolist()


def test_typed_times_of_day_are_no_numbers_and_lengths_are_no_times_of_day():
    times = pd.Series(pd.Timestamp(0) + pd.to_timedelta(RNG.integers(0, 1440, N), unit="min"))
    assert only(times.dt.time, "Uhrzeit").time_format == "time_of_day"
    assert only(times.dt.strftime("%H:%M"), "duration").kind != "timestamp"


@pytest.mark.parametrize("form", ["%y%m%d", "%d%m%y", "%d%m%Y", "%m%d%Y"])
@pytest.mark.parametrize("name", ["x", "booking_date"])
def test_dates_as_digits_of_another_order_are_left_out_until_a_person_says(form, name):
    digits = DAYS.dt.strftime(form)
    for stored in (digits, digits.astype(int), digits.astype(float)):
        column = only(stored, name)
        assert (column.kind, column.role) == ("ignored", "clock")
        assert f"--time-format {name}={form}" in column.note
        schema = Schema.infer(pd.DataFrame({name: stored}), time_formats={name: form})
        assert schema.cast(pd.DataFrame({name: stored}))[name].tolist() == DAYS.tolist()


def test_six_digits_are_no_dates_by_chance():
    counted = np.tile(np.arange(10_115, 11_015), 2)
    for values in (
        RNG.integers(100_000, 999_999, N),
        RNG.integers(10_000, 99_999, N) * 10,
        counted,
    ):
        assert only(values).kind == "numeric"


SPANS = {
    "hours": [f"{i % 24:02d}:{i % 60:02d}" for i in range(N)],
    "half days": [f"{i % 12 + 1}:{i % 60:02d} PM" for i in range(N)],
    "pandas": pd.Series(pd.to_timedelta(range(N), unit="s")).astype(str),
    "iso": [f"PT{i // 60}M{i % 60}S" for i in range(N)],
    "words": [f"{i // 60}h {i % 60}min" for i in range(N)],
}


@pytest.mark.parametrize("texts", SPANS.values(), ids=SPANS)
def test_times_of_day_and_durations_are_told_with_what_to_do(texts):
    column = only(texts)
    assert "times of day or durations" in column.doubt
    assert "--kind at=categorical" in column.doubt


def test_few_times_of_day_are_groups():
    assert only(["06:00", "14:00", "22:00"] * 20).doubt == ""


@pytest.mark.parametrize("low", [10_115, 100_500, 110_100, 1_012_000, 20_112_000])
def test_quantities_that_happen_to_be_days_of_the_calendar_stay_quantities(low):
    values = low + RNG.permutation(750)[:N]
    assert only(np.r_[values, values], "pressure").role != "clock"


@pytest.mark.parametrize("bad", ["2024-02-30", "1900-01-00", "soon"])
def test_dates_among_which_some_are_none_are_asked_about(bad):
    texts = [bad if i % 30 == 0 else text for i, text in enumerate(DAYS.dt.strftime("%Y-%m-%d"))]
    doubt = only(texts).doubt
    assert "of its cells are, others such as" in doubt
    assert f"--missing at={bad}" in doubt
    said = Schema.infer(pd.DataFrame({"at": texts}), missing={"at": [bad]})["at"]
    assert (said.kind, said.doubt) == ("timestamp", "")


def test_zero_dates_of_a_database_are_missing_however_many():
    texts = ["0000-00-00" if i % 3 == 0 else d for i, d in enumerate(DAYS.dt.strftime("%Y-%m-%d"))]
    column = only(texts)
    assert (column.kind, column.doubt) == ("timestamp", "")
    assert only(["0000-00-00", "00.00.0000"] * 20).kind == "categorical"


@pytest.mark.parametrize("year", [1445, 2567])
def test_dates_of_another_calendar_are_told(year):
    doubt = only(DAYS.dt.strftime(f"{year}-%m-%d").str.replace("29", "28")).doubt
    assert "outside the years 1678 to 2261" in doubt
    assert only(["9999-12-31", "2024-01-01", "2024-02-01"] * 20).doubt == ""


@pytest.mark.parametrize("texts", ["2023-Q4 2024-Q1 2024-Q2", "Q1/2024 Q2/2024 Q3/2024",
                                   "2024-W01 2024-W02 2024-W10", "01/2024 02/2024 12/2023",
                                   "Jan-24 Feb-24 Mär-24"])  # fmt: skip
def test_periods_of_a_year_are_said_to_be_new_next_time(texts):
    column = only(texts.split() * 20, "period")
    assert column.kind == "categorical"
    assert "--ignore period" in column.doubt
    assert only([f"shop-{i % 30:02d}" for i in range(90)]).doubt == ""
