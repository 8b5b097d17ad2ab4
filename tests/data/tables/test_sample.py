"""A sample of a table that is read in pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from vae_anomaly.data.tables.sample import RowSample, group_keys, row_keys


def numbered(n: int) -> pa.Table:
    return pa.table({"row": np.arange(n)})


def drawn(n: int, max_rows: int, piece_rows: int, seed: int = 0) -> list[int]:
    """Return the numbers of the sampled rows of a table read in pieces."""
    sample, table = RowSample(max_rows), numbered(n)
    for start in range(0, n, piece_rows):
        piece = table.slice(start, piece_rows)
        sample.add(0, piece, row_keys(start, len(piece), seed))
    return sample.tables()[0]["row"].to_pylist()


@pytest.mark.parametrize("piece_rows", [1, 7, 250, 1000])
def test_the_sample_does_not_depend_on_the_pieces(piece_rows):
    assert drawn(1000, 60, piece_rows) == drawn(1000, 60, 333)


def test_the_sample_has_as_many_rows_as_asked_in_their_order():
    rows = drawn(1000, 60, 90)
    assert len(rows) == 60
    assert rows == sorted(set(rows))


def test_a_short_table_is_kept_whole():
    assert drawn(50, 60, 9) == list(range(50))


def test_another_seed_draws_other_rows():
    assert drawn(1000, 60, 90, seed=0) != drawn(1000, 60, 90, seed=1)


def test_every_row_is_drawn_as_often_as_any_other():
    counts = np.zeros(40)
    for seed in range(600):
        counts[drawn(40, 10, 16, seed)] += 1
    spread = np.sqrt(600 * 0.25 * 0.75)
    assert np.abs(counts - 150).max() < 4 * spread


def test_pairs_of_neighbours_are_drawn_as_often_as_chance_has_it():
    together = sum(len({3, 4} & set(drawn(40, 10, 16, seed))) == 2 for seed in range(1500))
    assert together / 1500 == pytest.approx(10 / 40 * 9 / 39, abs=0.02)


def test_groups_are_kept_whole_or_not_at_all():
    customers = pd.Series(np.random.default_rng(0).integers(0, 300, 3000))
    sample = RowSample(400)
    for start in range(0, 3000, 128):
        part = customers[start : start + 128]
        table = pa.table({"customer": part})
        sample.add(0, table, group_keys(part, seed=0))
    kept = sample.tables()[0].to_pandas()["customer"]
    sizes = customers.value_counts()
    assert 300 < len(kept) <= 400
    assert sample.n_keys == kept.nunique()
    assert all(count == sizes[customer] for customer, count in kept.value_counts().items())


def test_a_group_is_the_same_however_its_name_is_stored():
    numbers, texts = pd.Series([7.0, np.nan, 8.0]), pd.Series(["7", None, " 8"])
    assert group_keys(numbers, 3).tolist() == group_keys(texts, 3).tolist()


def test_rows_of_several_files_come_back_by_file():
    sample = RowSample(100)
    for file in range(3):
        sample.add(file, numbered(40), row_keys(40 * file, 40, seed=0))
    tables = sample.tables()
    assert sorted(tables) == [0, 1, 2]
    assert sum(map(len, tables.values())) == 100
    assert sample.n_added == 120
