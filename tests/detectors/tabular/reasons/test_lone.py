"""A cell beside the training cells of its own column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from detectors.tabular.reasons.readable import assert_readable
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.detectors.tabular.encode.columns import CategoricalColumn, NumericColumn
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.reasons.lone import name_cell, strange_cell


def numbers(*cells: float, name: str = "euro", boolean: bool = False) -> NumericColumn:
    return NumericColumn.fit(name, pd.Series(cells, dtype=float), boolean=boolean)


def amounts() -> NumericColumn:
    """Cents from 1 to 100 euro, once each."""
    return numbers(*(np.arange(100, 10_001) / 100.0))


def words(name: str, *cells: str | None) -> CategoricalColumn:
    return CategoricalColumn.fit(name, pd.Series(cells, dtype=object))


def times(*cells: str) -> TimestampColumn:
    return TimestampColumn.fit("at", pd.Series(pd.to_datetime(list(cells))))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (50.0, None),
        (97.0, None),
        (99.5, "euro 99.50, usual is 6 to 95"),
        (1.5, "euro 1.50, usual is 6 to 95"),
        (310.0, "euro 310, higher than any of 9,901 training rows; the highest was 100"),
        (-12.5, "euro -12.50, lower than any of 9,901 training rows; the lowest was 1"),
        (1e6, "euro 1,000,000, higher than any of 9,901 training rows; the highest was 100"),
        (np.nan, "euro is empty, which it never was in training"),
    ],
    ids=str,
)
def test_a_number_is_strange_outside_of_all_but_two_in_a_hundred(value, reason):
    assert strange_cell(amounts(), value) == reason


def test_a_model_saved_without_the_range_of_training_tells_what_is_usual():
    column = NumericColumn.from_dict(
        {k: v for k, v in amounts().to_dict().items()
         if k not in ("lowest", "highest", "n", "decimals")}
    )  # fmt: skip
    assert strange_cell(column, 310.0) == "euro 310, usual is 6 to 95"


def test_a_constant_column_and_another_value_in_it():
    assert strange_cell(numbers(*[5.0] * 40), 7.0) == "euro 7, always 5 in training"
    assert strange_cell(numbers(*[5.0] * 40), 5.0) is None


def test_a_number_of_few_values_is_strange_where_it_was_rare():
    column = numbers(*[0.0] * 700, *[1.0] * 299, 2.0, name="items")
    assert strange_cell(column, 1.0) is None
    assert strange_cell(column, 2.0) == "items 2, seen once in 1,000 training rows"
    assert strange_cell(column, 1.5) == "items 1.5, training had only 0, 1 and 2"


def test_a_truth_value_is_said_in_words():
    column = numbers(*[0.0] * 999, 1.0, name="chip_failed", boolean=True)
    assert strange_cell(column, 1.0) == "chip_failed true, seen once in 1,000 training rows"


def test_a_gap_is_strange_where_gaps_are_rare_and_a_value_where_gaps_are_usual():
    rare, usual = numbers(*range(999), np.nan), numbers(*[np.nan] * 999, 5.0)
    assert strange_cell(rare, np.nan) == "euro is empty, as in 1 in 1,000 training rows"
    assert strange_cell(usual, np.nan) is None
    assert strange_cell(usual, 5.0) == "euro 5, where only 1 in 1,000 training rows has a value"


def test_a_year_is_no_thousand():
    column = numbers(*np.repeat(np.arange(2000.0, 2030.0), 9), name="year")
    assert name_cell(column, 1995.0) == "year 1995"


def test_a_rare_category_is_strange_only_where_most_are_frequent():
    few = words("state", *["AA"] * 990, *["BB"] * 9, "CC")
    many = words("state", *[f"S{i % 50}" for i in range(1_000)])
    assert strange_cell(few, "CC") == "state 'CC', seen once in 1,000 training rows"
    assert strange_cell(few, "ZZ") == "state 'ZZ', never seen in training"
    assert strange_cell(few, "AA") is None
    assert strange_cell(many, "S7") is None
    assert strange_cell(many, None) == "state is empty, which it never was in training"


def test_a_name_never_seen_is_ordinary_where_every_third_name_is_new():
    once = words("name", *[f"N{i}" for i in range(300)], *["common"] * 600)
    assert strange_cell(once, "somebody else") is None


def test_an_hour_or_weekday_is_strange_where_it_was_rare():
    column = times(*(f"2026-03-{2 + i % 5:02d} 12:00" for i in range(200)), "2026-03-02 03:10")
    night = "at Tuesday, 03:12, only 1 in 200 training rows falls in that hour"
    assert strange_cell(column, pd.Timestamp("2026-03-03 03:12")) == night
    assert strange_cell(column, pd.Timestamp("2026-03-03 12:40")) is None
    sunday = "at Sunday, 12:40, no training row falls on a Sunday"
    assert strange_cell(column, pd.Timestamp("2026-03-08 12:40")) == sunday


def test_an_hour_that_a_short_table_happens_to_miss_is_no_night():
    day = [f"2026-03-{2 + i % 14:02d} {8 + i % 12:02d}:00" for i in range(200) if i % 12 != 5]
    column = times(*day)
    assert column.hours[13] == 0.0
    assert strange_cell(column, pd.Timestamp("2026-03-03 13:20")) is None
    night = "at Tuesday, 03:20, no training row falls in that hour"
    assert strange_cell(column, pd.Timestamp("2026-03-03 03:20")) == night


def test_the_weekday_of_a_birth_is_no_reason():
    column = TimestampColumn.fit(
        "dob", pd.Series(pd.date_range("1950-01-01", periods=5_000, freq="D"))
    )
    assert strange_cell(column, pd.Timestamp("1931-03-12")) is None
    assert name_cell(column, pd.Timestamp("1931-03-12")) == "dob 12 March 1931"


CELLS = st.floats(-1e200, 1e200) | st.floats(-100, 100) | st.integers(-(10**6), 10**6).map(float)


@given(
    cells=st.lists(CELLS | st.just(np.nan), min_size=2, max_size=40),
    cell=CELLS | st.just(np.nan),
    boolean=st.booleans(),
)
def test_whatever_a_number_is_its_reason_can_be_read_aloud(cells, cell, boolean):
    column = numbers(0.0, *cells, boolean=boolean)
    assert_readable(strange_cell(column, cell) or name_cell(column, cell))


@given(
    name=st.text(min_size=1, max_size=80),
    cells=st.lists(st.text() | st.none(), min_size=1, max_size=40),
    cell=st.text() | st.none(),
)
def test_whatever_a_category_is_its_reason_fits_in_a_line(name, cells, cell):
    column = words(name, *cells)
    text = strange_cell(column, cell) or name_cell(column, cell)
    assert len(text) <= 140
    assert "  " not in text
    assert "\n" not in text
