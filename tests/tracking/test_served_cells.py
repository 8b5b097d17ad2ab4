"""A cell that lost what training had is refused by itself; every other reads as it would alone."""

from __future__ import annotations

import datetime as dt
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import mixed_rows

from vae_anomaly.data.tables.kinds import Column
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.tracking.network.requests import TextOrNumber
from vae_anomaly.tracking.served_cells import served_rows

SCHEMA = Schema.infer(mixed_rows(60, seed=0), overrides={"seen": "timestamp"})
KNOWN = {
    "shop": ("market", "fuel", "books"),
    "code": ("007", "107", "019", "00"),
    "country": ("DE", "NA", "FR"),
}
REFUSED = [
    ("age", [1, 2], "nested_value"),
    ("shop", {"name": "fuel"}, "nested_value"),
    ("amount", b"12", "nested_value"),
    ("when", 1_767_225_600_000, "not_a_time"),
    ("when", 1_767_225_600.0, "not_a_time"),
    ("written", 1_767_225_600, "not_a_time"),
    ("shop", 7, "not_text"),
    ("shop", dt.date(2026, 1, 1), "not_text"),
    ("shop", TextOrNumber("nan"), "not_text"),
    ("code", 7, "not_text"),
    ("code", 19.0, "not_text"),
    ("code", 0, "not_text"),
    ("code", TextOrNumber("7"), "not_text"),
    ("code", float(2**60), "not_text"),
    ("country", np.nan, "empty_or_text"),
]
READ = [
    ("age", None),
    ("age", "31"),
    ("shop", None),
    ("shop", np.nan),
    ("shop", "elsewhere"),
    ("code", 107),
    ("code", "7"),
    ("code", 2**60),
    ("country", None),
    ("country", pd.NA),
    ("country", ""),
    ("when", "2026-01-05T10:00:00+02:00"),
    ("when", dt.datetime(2026, 1, 5, tzinfo=dt.UTC)),
    ("paid", True),
    ("paid", "yes"),
    ("paid", 2),
    ("seen", "1770000000"),
    ("seen", "2026-02-02T02:40:00Z"),
]


def with_cell(name: str, cell: object) -> pd.DataFrame:
    """Three rows, of which the second holds a cell of its own."""
    rows = mixed_rows(3, seed=1)
    cells = rows[name].tolist()
    rows[name] = pd.Series([cells[0], cell, cells[2]], dtype=object)
    return rows


def plain(rows: pd.DataFrame) -> list[dict[str, object]]:
    return rows.astype(object).where(rows.notna(), None).to_dict("records")


@pytest.mark.parametrize(("name", "cell", "code"), REFUSED)
def test_cell_that_lost_something_is_refused_in_its_row_alone(name, cell, code):
    rows, faults = served_rows(with_cell(name, cell), SCHEMA, KNOWN)
    assert [fault and fault.code for fault in faults] == [None, code, None]
    assert f"column {name!r}" in faults[1].message
    assert pd.isna(rows[name][1])


@pytest.mark.parametrize(("name", "cell"), READ)
def test_cell_reads_the_same_alone_and_beside_others(name, cell):
    mixed = with_cell(name, cell)
    together, faults = served_rows(mixed, SCHEMA, KNOWN)
    alone, _ = served_rows(mixed.iloc[[1]], SCHEMA, KNOWN)
    assert faults == [None] * 3
    assert SCHEMA.bad_rows(together).isna().all()
    assert plain(SCHEMA.cast(together).iloc[[1]]) == plain(SCHEMA.cast(alone))


UNITS = ["epoch_s", "epoch_ms", "epoch_us", "epoch_ns"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("sent", UNITS)
def test_number_since_1970_in_another_unit_is_refused_and_never_1970(unit, sent):
    factor = 1000 ** UNITS.index(sent)
    rows = pd.DataFrame({"seen": [1_770_000_000 * factor, 0]})
    schema = Schema(columns=(Column(name="seen", kind="timestamp", time_format=unit),))
    served, faults = served_rows(rows, schema, {})
    bad = schema.bad_rows(served).notna() | pd.Series(faults).notna()
    assert bad.tolist() == [unit != sent, False]


@pytest.mark.parametrize(
    ("form", "day"), [("compact", 20_260_105), ("excel", 46_027), ("epoch_s", 1_767_571_200)]
)
def test_number_that_training_had_for_a_time_may_stand_beside_text(form, day):
    cells = [day, float(day), str(day), "2026-01-05", dt.date(2026, 1, 5)]
    schema = Schema(columns=(Column(name="day", kind="timestamp", time_format=form),))
    rows, faults = served_rows(pd.DataFrame({"day": pd.Series(cells, dtype=object)}), schema, {})
    assert faults == [None] * 5
    assert schema.cast(rows)["day"].tolist() == [pd.Timestamp("2026-01-05")] * 5


@pytest.mark.parametrize("cell", ["1.234", "12.5"])
def test_number_that_became_text_is_not_read_as_training_wrote_numbers(cell):
    schema = Schema(columns=(Column(name="euro", kind="numeric", number_format="1.234,5"),))
    for text, refused in ((TextOrNumber(cell), True), (TextOrNumber("12"), False)):
        rows = pd.DataFrame({"euro": pd.Series(["1.234,50", text, None], dtype=object)})
        served, faults = served_rows(rows, schema, {})
        assert [fault is not None for fault in faults] == [False, refused, False]
        assert schema.cast(served)["euro"][0] == 1234.5


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ({"kind": "timestamp", "time_format": "epoch_ms"}, -999),
        ({"kind": "timestamp", "time_format": "iso"}, -999),
        ({"kind": "categorical", "stored": "text"}, -999.0),
        ({"kind": "boolean", "stored": "number"}, "-999"),
    ],
)
def test_cell_that_the_schema_calls_missing_is_missing(column, cell):
    schema = Schema(columns=(Column(name="a", missing=("-999",), **column),))
    rows, faults = served_rows(pd.DataFrame({"a": pd.Series([cell], dtype=object)}), schema, {})
    assert faults == [None]
    assert schema.cast(rows)["a"].isna().all()


def test_typed_columns_stay_as_they_are():
    rows = mixed_rows(5, seed=1)
    served, faults = served_rows(rows, SCHEMA, KNOWN)
    pd.testing.assert_frame_equal(served, rows)
    assert faults == [None] * 5


INSTANT = pd.Timestamp("2026-01-05T08:00:00")
ROADS = {
    "naive": pd.Series([INSTANT]),
    "seconds": pd.Series([INSTANT]).astype("datetime64[s]"),
    "zone": pd.Series([INSTANT.tz_localize("UTC").tz_convert("Asia/Tokyo")]),
    "nullable Arrow": pd.Series([INSTANT]).astype("timestamp[ms][pyarrow]"),
    "Arrow with zone": pd.Series([INSTANT.tz_localize("UTC")]).astype(
        "timestamp[us, tz=UTC][pyarrow]"
    ),
    "Python": pd.Series([INSTANT.to_pydatetime()], dtype=object),
    "Python with zone": pd.Series(
        [dt.datetime(2026, 1, 5, 10, tzinfo=dt.timezone(dt.timedelta(hours=2)))], dtype=object
    ),
    "text": pd.Series(["2026-01-05T08:00:00"]),
    "text, Z": pd.Series(["2026-01-05T08:00:00Z"]),
    "text, offset": pd.Series(["2026-01-05T10:00:00.000+02:00"]),
    "text, space": pd.Series(["2026-01-05 08:00:00"]),
}


@pytest.mark.parametrize("name", ["when", "written", "seen"])
@pytest.mark.parametrize("cells", ROADS.values(), ids=ROADS)
def test_instant_is_the_same_by_every_road(cells, name):
    rows = mixed_rows(1, seed=1).assign(**{name: cells})
    served, faults = served_rows(rows, SCHEMA, KNOWN)
    assert faults == [None]
    assert SCHEMA.cast(served)[name][0] == INSTANT


@pytest.fixture
def spark_task(monkeypatch):
    """Stand in a task of Spark whose session has a time zone."""

    def stand(zone: str | None) -> None:
        spark = ModuleType("pyspark")
        task = SimpleNamespace(getLocalProperty={"spark.sql.session.timeZone": zone}.get)
        vars(spark)["TaskContext"] = SimpleNamespace(get=lambda: task)
        monkeypatch.setitem(sys.modules, "pyspark", spark)

    return stand


@pytest.mark.parametrize("zone", ["America/New_York", None])
def test_time_of_spark_without_its_zone_is_refused(zone, spark_task):
    spark_task(zone)
    _, faults = served_rows(mixed_rows(2, seed=1), SCHEMA, KNOWN)
    assert [fault.code for fault in faults] == ["unknown_zone"] * 2
    assert "spark.sql.session.timeZone" in faults[0].message


def test_time_of_a_spark_session_in_utc_is_read(spark_task):
    spark_task("UTC")
    assert served_rows(mixed_rows(2, seed=1), SCHEMA, KNOWN)[1] == [None] * 2


def test_text_and_zoned_times_need_no_session_zone(spark_task):
    spark_task("Asia/Tokyo")
    rows = mixed_rows(2, seed=1)
    rows["when"] = rows["when"].dt.tz_localize("UTC")
    assert served_rows(rows, SCHEMA, KNOWN)[1] == [None] * 2
