"""One value reads the same however it is written or stored; a bad cell is no exception."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.cells import (
    read_booleans,
    read_numbers,
    read_text,
    read_times,
)

FEW = settings(max_examples=25)
STORED = ("float64", "Float64", "double[pyarrow]", "category", object)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(allow_nan=False),
    st.text(max_size=8), st.binary(max_size=3), st.dates(), st.datetimes(), st.timedeltas(),
    st.just([1]),
)  # fmt: skip


def writings(value: int) -> list[object]:
    """One whole number as people, files and libraries write it."""
    signed = [f"{value:+d}", f"{value:+d}.0"] if abs(value) < 1e12 else []
    stored = [value, float(value), np.float64(value), Decimal(value)]
    return [*stored, str(value), f" {value} ", f"{value}.0", f"{value}.", f"{value}.00", *signed]


@FEW
@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_number_is_one_number_and_one_text_in_all_its_writings(value):
    for cell in writings(value):
        for cells in (pd.Series([cell]), pd.Series([cell, None], dtype=object)):
            assert read_numbers(cells)[0][0] == value, repr(cell)
            assert read_text(cells)[0] == str(value), repr(cell)


@FEW
@given(st.floats(-1e6, 1e6).map(lambda x: round(x, 4)))
def test_a_number_is_one_text_in_every_storage(value):
    stored = [pd.Series([value], dtype=kind) for kind in STORED]
    stored += [pd.Series([str(value)]), pd.Series([f" {value:.4f}"])]
    assert len({read_text(cells)[0] for cells in stored}) == 1
    assert {read_numbers(cells)[0][0] for cells in stored} == {value}


def test_a_card_number_reads_the_same_beside_a_missing_cell():
    whole = pd.Series([4111111111111111, 4111111111111112])
    beside_missing = pd.Series([4111111111111111, None])
    assert beside_missing.dtype == float
    assert read_text(beside_missing).tolist() == [read_text(whole)[0], None]


@FEW
@given(st.lists(ANYTHING, max_size=6))
def test_no_cell_is_an_exception_and_each_is_a_value_missing_or_bad(values):
    cells = pd.Series(values, dtype=object)
    for read in (read_numbers, read_booleans, read_times):
        found, codes = read(cells)
        assert len(found) == len(codes) == len(values)
        bad = pd.notna(codes)
        assert pd.isna(found[bad]).all()
    assert not np.isinf(read_numbers(cells)[0]).any()
    assert all(text is None or text == text.strip() != "" for text in read_text(cells))


def test_bad_cells_have_a_code_and_missing_ones_none():
    cells = pd.Series(
        ["1_000", "0x1f", "n/a", "?", "", " 2 ", "1e400", None, b"7", date(2026, 1, 1)]
    )
    values, codes = read_numbers(cells)
    assert values.tolist() == pytest.approx([np.nan] * 5 + [2.0] + [np.nan] * 4, nan_ok=True)
    assert codes.tolist() == ["not_a_number"] * 2 + [None] * 4 + [
        "infinite", None, "not_a_number", "not_a_number",
    ]  # fmt: skip


def test_truth_is_read_in_words_and_numbers():
    cells = pd.Series(["Yes", "n", " TRUE", "0.0", True, 0, "maybe", 2, None], dtype=object)
    values, codes = read_booleans(cells)
    assert values[:6].tolist() == [1, 0, 1, 0, 1, 0]
    assert np.isnan(values[6:]).all()
    assert codes[6:].tolist() == ["not_a_boolean", "not_a_boolean", None]


NOON = np.datetime64("2026-03-04T12:00:00", "ns")


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("2026-03-04 12:00", None),
        ("2026/3/4 12:00:00", "iso"),
        ("2026-03-04T13:00+01:00", None),
        ("04.03.2026 12:00", "day_first"),
        ("03/04/2026 12:00", "month_first"),
        (1772625600, "epoch_s"),
        ("1772625600000", "epoch_ms"),
        (datetime(2026, 3, 4, 12, tzinfo=UTC), None),
        (pd.Timestamp("2026-03-04 07:00", tz="America/New_York"), None),
    ],
)
def test_one_moment_reads_the_same_in_every_writing(cell, form):
    cells = pd.Series([cell, None])
    if isinstance(cell, str) and form == "epoch_ms":
        cells = pd.to_numeric(cells)
    values, codes = read_times(cells, form)
    assert values[0] == NOON
    assert np.isnat(values[1])
    assert codes.tolist() == [None, None]
