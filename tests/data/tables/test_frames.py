"""Whatever holds a table in memory becomes one, or is refused with what to give instead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import sparse

from vae_anomaly.data.tables.frames import as_frame, to_frame
from vae_anomaly.errors import DataError


class Polars:
    """A table that says what it holds by ``to_arrow`` alone."""

    def to_arrow(self) -> pa.Table:
        return pa.table({"x": [1, 2]})


@pytest.mark.parametrize(
    "table",
    [[{"x": 1}, {"x": 2}], {"x": [1, 2]}, pa.table({"x": [1, 2]}), Polars()],
    ids=["records", "columns", "arrow", "to_arrow"],
)
def test_tables_of_all_makers_become_the_same_frame(table):
    pd.testing.assert_frame_equal(as_frame(table), pd.DataFrame({"x": [1, 2]}))


def test_columns_of_an_array_are_numbered_and_names_become_text():
    assert list(as_frame(np.zeros((2, 3))).columns) == ["x0", "x1", "x2"]
    assert list(as_frame(pd.DataFrame([[1, 2]], columns=[2024, "b"])).columns) == ["2024", "b"]


def test_a_frame_that_is_fine_is_not_copied():
    frame = pd.DataFrame({"x": [1]})
    assert as_frame(frame) is frame


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"amount": 3.0, "shop": "a"}, "a list of rows"),
        ({"a": [1], "b": [1, 2]}, "columns of one length"),
        (sparse.eye(3).tocsr(), r"X\.toarray\(\)"),
        ([1.0, 2.0], r"reshape\(1, -1\) for one row"),
    ],
    ids=["one row", "lengths", "sparse", "vector"],
)
def test_what_is_no_table_is_told_how_to_become_one(value, told):
    with pytest.raises(DataError, match=told):
        as_frame(value)


def test_only_an_index_that_was_named_is_kept():
    named = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=pd.Index([7, 9], name="id")))
    unnamed = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=[7, 9]))
    assert (list(to_frame(named)), list(to_frame(unnamed))) == (["x", "id"], ["x"])
