"""What is usual of a column by itself, read aloud."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.detectors.tabular.encode.columns import CategoricalColumn, NumericColumn
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.reasons.typical import typical_of


def times(hours: list[float], days: list[int]) -> TimestampColumn:
    start = pd.Timestamp("2026-01-05")  # a Monday
    cells = [start + pd.Timedelta(days=day, hours=hour) for day in days for hour in hours]
    return TimestampColumn.fit("at", pd.Series(cells))


def test_of_a_number_the_middle_nine_tenths():
    column = NumericColumn.fit("euro", pd.Series(np.linspace(0.0, 200.0, 1_001)))
    assert typical_of(column) == "10 to 190"


def test_of_few_values_the_most_frequent_with_their_shares():
    cells = ["fuel"] * 60 + ["food"] * 39 + ["other"]
    assert typical_of(CategoricalColumn.fit("shop", pd.Series(cells))) == ("fuel 60 %, food 39 %")
    assert typical_of(NumericColumn.fit("doors", pd.Series([4.0] * 8 + [2.0] * 2))) == (
        "4 80 %, 2 20 %"
    )


def test_of_many_names_that_are_all_rare_their_number():
    names = pd.Series([f"shop {i}" for i in range(400)])
    assert typical_of(CategoricalColumn.fit("shop", names)) == "400 different values"


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ([8.0, 9.5, 10.2, 11.0, 12.9], "08:00 to 13:00"),
        ([22.0, 23.5, 0.5, 1.2], "22:00 to 02:00"),
        ([float(hour) for hour in range(24)], "any hour"),
    ],
)
def test_of_times_the_hours_that_hold_most(hours, words):
    assert typical_of(times(hours, [0, 1, 2])) == words


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([0, 1, 2, 3, 4], "Monday to Friday"),
        (list(range(7)), "any day"),
        ([0, 6], "Monday and Sunday"),
    ],
)
def test_of_dates_the_days_of_the_week(days, words):
    assert typical_of(times([0.0], days)) == words
