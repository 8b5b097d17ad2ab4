"""One moment reads the same in every writing and storage; what has two readings is not guessed."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.cells import check_time_format, is_open, read_times, writing_of
from vae_anomaly.data.tables.cells.times import OPEN_END, OPEN_START

MOMENTS = st.datetimes(datetime(1901, 1, 1), datetime(2099, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)
WRITINGS = {
    "iso": "%Y-%m-%d %H:%M:%S",
    "iso T Z": "%Y-%m-%dT%H:%M:%SZ",
    "iso slashed": "%Y/%m/%d %H:%M:%S",
    "iso basic": "%Y%m%dT%H%M%S",
    "dotted": "%d.%m.%Y %H:%M:%S",
    "dotted clock": "%d.%m.%Y %H.%M.%S Uhr",
    "named": "%d-%b-%Y %H:%M:%S",
    "named long": "%d %B %Y %H:%M:%S",
    "named first": "%B %d, %Y %I:%M:%S %p",
    "mail": "%a, %d %b %Y %H:%M:%S GMT",
    "log": "%d/%b/%Y:%H:%M:%S +0000",
    "C": "%a %b %d %H:%M:%S %Y",
}
STORAGES = {
    "s": lambda t: t.astype("datetime64[s]"),
    "ms": lambda t: t.astype("datetime64[ms]"),
    "us": lambda t: t.astype("datetime64[us]"),
    "zone": lambda t: t.dt.tz_localize("UTC").dt.tz_convert("Asia/Kolkata"),
    "arrow": lambda t: t.astype(pd.ArrowDtype(pa.timestamp("us"))),
    "arrow zone": lambda t: t.dt.tz_localize("UTC").astype(pd.ArrowDtype(pa.timestamp("s", "UTC"))),
    "objects": lambda t: pd.Series([*t.dt.to_pydatetime()], dtype=object),
    "zoned objects": lambda t: pd.Series([m.tz_localize("UTC") for m in t], dtype=object),
    "category": lambda t: t.astype("category"),
}


def only(cell: object, form: str | None = None) -> tuple[str | None, str | None]:
    """Read one cell: its time as text, and its code."""
    values, codes = read_times(pd.Series([cell], dtype=object), form)
    return None if np.isnat(values[0]) else str(values[0]), codes[0]


@settings(max_examples=10)
@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from([None, "iso", "day_first"]))
def test_what_has_one_reading_is_read_in_every_column(moments, form):
    for pattern in WRITINGS.values():
        values, codes = read_times(pd.Series([m.strftime(pattern) for m in moments]), form)
        assert values.tolist() == pd.Series(moments).astype("datetime64[ns]").to_numpy().tolist()
        assert set(codes) == {None}


@settings(max_examples=10)
@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from([None, "day_first", "epoch_ms"]))
def test_a_typed_time_is_the_same_instant_in_every_storage_and_format(moments, form):
    plain = pd.Series(moments).astype("datetime64[ns]")
    for name, stored in STORAGES.items():
        values, codes = read_times(stored(plain), form)
        assert values.tolist() == plain.to_numpy().tolist(), name
        assert set(codes) == {None}


@settings(max_examples=20)
@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from(["/", "-", "."]))
def test_the_format_says_which_part_of_a_date_is_the_day(moments, mark):
    for form, pattern in (("day_first", "%d{0}%m{0}%Y %H:%M:%S"),
                          ("month_first", "%m{0}%d{0}%Y %H:%M:%S")):  # fmt: skip
        if (mark, form) == (".", "month_first"):
            continue
        texts = [m.strftime(pattern.format(mark)) for m in moments]
        values, codes = read_times(pd.Series(texts), form)
        assert values.tolist() == pd.Series(moments).astype("datetime64[ns]").to_numpy().tolist()
        assert set(codes) == {None}


@pytest.mark.parametrize(
    ("cell", "form", "time"),
    [
        ("2024-03-01T10:00:00.123456789Z", None, "2024-03-01T10:00:00.123456789"),
        ("2024-03-01 24:00", None, "2024-03-02T00:00"),
        ("2024-03-01 10.30", None, "2024-03-01T10:30"),
        ("2024-03-01 12:05 AM", None, "2024-03-01T00:05"),
        ("2024-03-01 12:05 p.m.", None, "2024-03-01T12:05"),
        ("2024-03-01T10:00:00+02:00[Europe/Berlin]", None, "2024-03-01T08:00"),
        ("2024-03-01 10:00 UTC+5:30", None, "2024-03-01T04:30"),
        ("2024-03-01 10:00:00-03", None, "2024-03-01T13:00"),
        ("20240301", None, "2024-03-01"),
        ("20240301101500", None, "2024-03-01T10:15"),
        ("2024-03", None, "2024-03-01"),
        ("1. März 2024", None, "2024-03-01"),
        ("31. Dez. 2024 8 Uhr", None, "2024-12-31T08:00"),
        ("01-MAR-24 10.30.00.5 AM", None, "2024-03-01T10:30:00.5"),
        ("03/04/24", "day_first", "2024-04-03"),
        ("3/4/70 1:05 PM", "month_first", "1970-03-04T13:05"),
        ("24-03-01", "year_first", "2024-03-01"),
        ("2024-03-04", "day_first", "2024-03-04"),
        ("04.03.2024 10:30", "%d.%m.%Y %H:%M", "2024-03-04T10:30"),
        ("03|2024|04", "%m|%Y|%d", "2024-03-04"),
        (45352.4375, "excel", "2024-03-01T10:30"),
        (20240301, "compact", "2024-03-01"),
        (20240301101500.0, "compact", "2024-03-01T10:15"),
        ("1709289000", "epoch_s", "2024-03-01T10:30"),
        (pd.Period("2024-03", "M"), None, "2024-03-01"),
        (date(2024, 3, 1), "day_first", "2024-03-01"),
        (datetime(2024, 3, 1, 10, tzinfo=UTC), None, "2024-03-01T10:00"),
    ],
)
def test_a_writing_is_read(cell, form, time):
    assert only(cell, form) == (str(np.datetime64(time, "ns")), None)


@pytest.mark.parametrize(
    ("cell", "form", "code"),
    [
        ("03/04/2024", None, "other_time_format"),
        ("04/13/2024", "day_first", "other_time_format"),
        ("13/04/2024", "month_first", "other_time_format"),
        ("03.04.2024", "month_first", "other_time_format"),
        ("2024-03-01 10:00 CET", None, "time_zone_name"),
        ("01.03.2024 10:00 EST", "day_first", "time_zone_name"),
        ("2024-03-01 10:00 Europe/Berlin", None, "time_zone_name"),
        ("2024-03-01T10:00[Europe/Berlin]", None, "time_zone_name"),
        ("2024-02-30", None, "not_a_time"),
        ("2024-03-01 25:00", None, "not_a_time"),
        ("2024-03-01 24:01", None, "not_a_time"),
        ("2024-03-01 13:00 PM", None, "not_a_time"),
        ("31 Foo 2024", None, "not_a_time"),
        ("12345678", None, "not_a_time"),
        ("1700000000", None, "not_a_time"),
        (1700000000, None, "not_a_time"),
        (1.7e12 * 1e3, "epoch_s", "time_out_of_range"),
    ],
)
def test_what_is_not_read_says_why(cell, form, code):
    assert only(cell, form) == (None, code)


@pytest.mark.parametrize("cell", ["0000-00-00", "0000-00-00 00:00:00", "00000000", "00.00.0000"])
def test_a_database_writes_no_date_in_zeros(cell):
    assert only(cell) == (None, None)


@pytest.mark.parametrize(
    "stored",
    [
        pd.Series(["9999-12-31", "0001-01-01", "2024-03-01"]),
        pd.Series(["31.12.9999 23:59:59", "01.01.0001", "01.03.2024"]),
        pd.Series([99991231, 10101, 20240301]).where([True, False, True]),
        pd.Series(["infinity", "-infinity", "2024-03-01"]),
        pd.Series([date(9999, 12, 31), date(1, 1, 1), date(2024, 3, 1)]),
        pd.Series(np.array(["9999-12-31", "0001-01-01", "2024-03-01"], "datetime64[us]")),
        pd.Series(pa.array([date(9999, 12, 31), date(1, 1, 1), date(2024, 3, 1)], pa.date32()),
                  dtype=pd.ArrowDtype(pa.date32())),
        pd.Series(pa.array([date(9999, 12, 31), date(1, 1, 1), date(2024, 3, 1)], pa.date32())
                  .cast(pa.timestamp("us"))),
        pd.Series([datetime(9999, 12, 31), datetime(1, 1, 1), datetime(2024, 3, 1)], dtype=object),
        pd.Series([253402214400, -62135596800, 1709251200]),
    ],
    ids=["text", "dotted", "digits", "infinity", "dates", "us", "arrow dates", "arrow", "objects",
         "seconds"],
)  # fmt: skip
def test_a_date_beyond_what_can_be_held_is_open_ended(stored):
    values, codes = read_times(stored, "epoch_s" if stored.max() == 253402214400 else "compact")
    assert values[0] == OPEN_END
    assert values[1] == OPEN_START or np.isnat(values[1])
    assert values[2] == np.datetime64("2024-03-01")
    assert is_open(values).tolist() == [True, values[1] == OPEN_START, False]
    assert set(codes) == {None}
    assert read_times(pd.Series(values))[0].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("texts", "form", "otherwise"),
    [
        (["2024-03-01", "2024-03-02"], "iso", None),
        (["31/12/2024", "01/02/2024"], "day_first", None),
        (["12/31/2024", "01/02/2024"], "month_first", None),
        (["03.04.2024"], "day_first", None),
        (["3.4.24", "5.6.24"], "day_first", None),
        (["03/04/2024", "03/04/2023"], "month_first", "day_first"),
        (["01/03/2024", "05/03/2024", "12/03/2024"], "day_first", "month_first"),
        (["24-03-01", "24-03-12", "24-04-02"], "year_first", "day_first"),
        (["01-Mar-24", "02-Mar-24"], "month_name", None),
        (["20240301", "20240302"], "compact", None),
        (["01/02/2024"] * 1 + ["2024-02-01 10:00", "2024-02-02", "2024-02-03"], "iso", None),
    ],
)
def test_the_format_is_decided_on_the_whole_column(texts, form, otherwise):
    found = writing_of(dict.fromkeys(texts, 1))
    assert (found.form, found.otherwise) == (form, otherwise)
    assert found.share == 1.0


@pytest.mark.parametrize("text", ["a", "10.45.59", "Jan 2024", "1/2", "1.2.3", "192.168.1.1", ""])
def test_what_is_no_date_has_no_share(text):
    assert writing_of({text: 1}).share == 0.0


@pytest.mark.parametrize("form", ["dmy", "%d.%m", "%d.%m.%Y %Q", "%Y-%m-%d %d", "day first"])
def test_a_format_that_does_not_exist_is_refused(form):
    with pytest.raises(ValueError, match="time format " + re.escape(repr(form))):
        check_time_format(form)
