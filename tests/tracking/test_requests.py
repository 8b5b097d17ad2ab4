"""What MLflow makes of a request becomes one table, whatever layout it came in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from vae_anomaly.errors import SchemaError
from vae_anomaly.tracking.network.requests import RequestError, TextOrNumber, request_table

NAMES = ["age", "shop"]
ROWS = {"age": [31, 52], "shop": ["a", "b"]}
LAYOUTS = {
    "frame": pd.DataFrame(ROWS),
    "arrow": pa.table(ROWS),
    "mapping of lists": ROWS,
    "mapping of arrays": {name: np.array(cells) for name, cells in ROWS.items()},
    "records": [{"age": 31, "shop": "a"}, {"age": 52, "shop": "b"}],
    "records of arrays without dimension": [
        {"age": np.array(31), "shop": np.array("a")},
        {"age": np.array(52), "shop": np.array("b")},
    ],
    "Spark's numbered columns": pd.DataFrame({"0": [31, 52], "1": ["a", "b"]}),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_the_same_table(layout):
    table = request_table(layout, NAMES)
    assert table.to_dict("list") == ROWS


def test_one_row_may_come_without_lists():
    row = {"age": np.array(31), "shop": np.array("a")}
    assert request_table(row, NAMES).to_dict("list") == {"age": [31], "shop": ["a"]}


@pytest.mark.parametrize("nothing", [[], {}, np.array([]), pd.DataFrame()], ids=repr)
def test_no_rows_are_a_table_without_rows(nothing):
    table = request_table(nothing, NAMES)
    assert len(table) == 0
    assert list(table.columns) == NAMES


def test_long_numbers_beside_null_keep_their_digits():
    table = request_table([{"age": 2**60 + 1}, {"age": None}], ["age"])
    assert table["age"].tolist() == [2**60 + 1, None]


def test_null_among_values_of_instances_is_a_missing_cell():
    cells = np.array([np.array(31), np.array(None)], dtype=object)  # as MLflow makes them
    assert request_table({"age": cells}, ["age"])["age"].tolist() == [31, None]


def test_text_that_may_have_been_a_number_is_marked():
    cells = request_table({"shop": np.array(["a", 7, np.nan])}, ["shop"])["shop"]
    assert [isinstance(cell, TextOrNumber) for cell in cells] == [False, True, True]


def test_numbered_columns_of_a_model_that_has_them_stay():
    frame = pd.DataFrame({"0": [1], "1": [2]})
    assert list(request_table(frame, ["1", "0"]).columns) == ["0", "1"]


def test_columns_that_json_does_not_name_stay_without_names():
    frame = pd.DataFrame(columns=None, data=[[31, "a"]])  # of a dataframe_split without columns
    assert list(request_table(frame, NAMES).columns) == ["0", "1"]


@pytest.mark.parametrize(
    "no_table",
    [
        "text",
        3,
        None,
        np.zeros((2, 2, 2)),
        {"age": [1, 2], "shop": ["a"]},
        pd.Series([31, "a"], ["age", "shop"]),
    ],
    ids=["text", "number", "none", "three dimensions", "columns of unlike length", "a row alone"],
)
def test_what_is_no_table_is_refused_for_our_callers_and_for_mlflows(no_table):
    from mlflow.exceptions import MlflowException

    with pytest.raises(RequestError, match="request is no table") as caught:
        request_table(no_table, NAMES)
    assert isinstance(caught.value, SchemaError)
    assert isinstance(caught.value, MlflowException)
    assert caught.value.get_http_status_code() == 400
