"""A file that lies where training never was is said by column, whatever the size of its pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.batch.moved import MovedColumns
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.encode.table import TableEncoder

RNG = np.random.default_rng(0)
N = 200
TRAINED = pd.DataFrame(
    {
        "clock": RNG.permutation(np.arange(N) + 0.5),
        "amount": RNG.normal(50, 9, N),
        "until": pd.Timestamp("2024-03-01") + pd.to_timedelta(RNG.integers(0, 90, N), unit="D"),
    }
)
SCHEMA = Schema.infer(TRAINED)
COLUMNS = TableEncoder.fit(SCHEMA.cast(TRAINED), SCHEMA.features).columns


@pytest.mark.parametrize("rows", [7, 1000])
def test_a_column_that_moved_is_named_and_no_other(rows):
    tomorrow = SCHEMA.cast(TRAINED.assign(clock=TRAINED["clock"] + N, amount=TRAINED["amount"] + 5))
    moved = MovedColumns()
    for start in range(0, N, rows):
        moved.add(COLUMNS, tomorrow.iloc[start : start + rows])
    (note,) = moved.notes()
    assert "column 'clock' lies outside its training range (0.5 to 199.5) in 200 of 200" in note
    assert "--ignore clock" in note


def test_open_ends_that_training_never_had_are_said():
    until = TRAINED["until"].astype(str).where(np.arange(N) > 2, "9999-12-31")
    moved = MovedColumns()
    moved.add(COLUMNS, SCHEMA.cast(TRAINED.assign(until=until)))
    (note,) = moved.notes()
    assert "'until': 3 of 200 dates are open-ended" in note


def test_few_rows_and_an_ordinary_day_say_nothing():
    moved = MovedColumns()
    moved.add(COLUMNS, SCHEMA.cast(TRAINED))
    assert list(moved.notes()) == []
    few = MovedColumns()
    few.add(COLUMNS, SCHEMA.cast(TRAINED.head(5).assign(clock=9e9)))
    assert list(few.notes()) == []
