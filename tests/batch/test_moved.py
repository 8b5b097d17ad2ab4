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


SHOPS = TRAINED.assign(shop=RNG.choice(["north", "south"], N))
SHOP_SCHEMA = Schema.infer(SHOPS)
SHOP_COLUMNS = TableEncoder.fit(SHOP_SCHEMA.cast(SHOPS), SHOP_SCHEMA.features).columns


@pytest.mark.parametrize("rows", [7, 1000])
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"shop": SHOPS["shop"].str.upper()}, "'shop' has values that training never had in 200"),
        ({"amount": np.nan}, "'amount' is empty in all 200 rows, and was in 0.0% of training"),
        ({"until": None}, "'until' is empty in all 200 rows"),
        ({"shop": None}, "'shop' is empty in all 200 rows"),
    ],
    ids=["capitals", "number", "time", "category"],
)
def test_a_column_that_ran_dry_or_is_written_otherwise_is_named_and_no_other(rows, changed, told):
    tomorrow = SHOP_SCHEMA.cast(SHOPS.assign(**changed))
    moved = MovedColumns()
    for start in range(0, N, rows):
        moved.add(SHOP_COLUMNS, tomorrow.iloc[start : start + rows])
    (note,) = moved.notes()
    assert told in note


def test_values_that_hardly_come_again_are_new_every_day():
    names = SHOPS.assign(note=[f"n{i}" for i in range(N)])
    schema = Schema.infer(names, overrides={"note": "categorical"})
    moved = MovedColumns()
    moved.add(TableEncoder.fit(schema.cast(names), schema.features).columns,
              schema.cast(names.assign(note=[f"new {i}" for i in range(N)])))  # fmt: skip
    assert list(moved.notes()) == []
