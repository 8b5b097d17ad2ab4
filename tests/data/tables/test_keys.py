"""What names a row or an entity is the same text whatever stored it, and whatever is beside it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.read import assemble, iter_batches, iter_pieces, read_table

KEYS = st.one_of(
    st.integers(0, 10**24).map(str),
    st.from_regex(r"0{1,3}[0-9]{1,18}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]?[eE][0-9]", fullmatch=True),
    st.sampled_from(["+491234567", "A7", "1_000", "0x1f", "NA", "nan", "-", "1.10", "2024-03-01"]),
)


@settings(max_examples=50)
@given(st.lists(KEYS, min_size=1, max_size=12), st.integers(1, 5))
def test_keys_of_a_csv_are_what_is_written_however_it_is_cut(tmp_path_factory, keys, batch_rows):
    path = tmp_path_factory.mktemp("keys") / "t.csv"
    path.write_text("key,x\n" + "".join(f"{key},1\n" for key in keys))
    pieces = iter_batches(path, batch_rows, as_text=["key"])
    assert [key for piece in pieces for key in read_keys(piece["key"])] == keys
    assert read_keys(read_table(path, as_text=["key", "absent"])["key"]).tolist() == keys
    kept = assemble([path], dict(enumerate(iter_pieces(path))), as_text=["key"])
    assert read_keys(kept["key"]).tolist() == keys
    assert kept["x"].dtype == np.int64


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([7, 16]),
        pd.Series([7.0, 16.0]),
        pd.Series(["7", " 16 "]),
        pd.Series(["7.0", "16.00"]),
        pd.Series([7, 16], dtype="Int64"),
        pd.Series([7, 16], dtype="uint8"),
        pd.Series(["7", "16"], dtype="category"),
        pd.Series([7.0, 16.0], dtype="double[pyarrow]"),
        pd.Series([Decimal(7), Decimal("16.0")]),
        pd.Series([b"7", b"16"]),
    ],
    ids=lambda cells: f"{cells.dtype}-{cells.iloc[0]!r}",
)
def test_a_whole_number_is_one_key_however_it_is_stored(cells):
    assert read_keys(cells).tolist() == ["7", "16"]


@pytest.mark.parametrize("empty", [None, np.nan, pd.NaT, pd.NA, "", "  "], ids=repr)
def test_a_cell_without_anything_is_no_key(empty):
    assert read_keys(pd.Series([empty, "a"], dtype=object)).tolist() == [None, "a"]


def test_large_keys_beside_missing_ones_keep_their_digits():
    ids = [2**63 + 1, None, 2**53 + 1]
    assert read_keys(pd.Series(ids, dtype="UInt64")).tolist() == [str(ids[0]), None, str(ids[2])]


def test_one_long_card_number_changes_no_other_cards_past(tmp_path: Path):
    card, columns = "4000123412341234", EntityColumns(("card",), "at", "euro")
    histories = EntityHistories(columns)
    for night, others in enumerate(("1.5", "40001234123412340001", "", "12e4"), start=1):
        path = tmp_path / f"{night}.csv"
        path.write_text(f"card,at,euro\n{card},2024-03-0{night},5\n{others},2024-03-0{night},5\n")
        made = histories.process(read_table(path, as_text=columns.entities))
        seen = made["card: hours since last"].notna().tolist()
        assert seen == [night > 1, False]
