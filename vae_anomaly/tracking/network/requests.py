"""What MLflow hands to a model, whatever way it came, as one table.

=============================  ================================================================
a caller sends                 MLflow hands over
=============================  ================================================================
dataframe_split or _records    a DataFrame, of types that pandas inferred
inputs, a mapping              a dict of arrays; beside text, numbers have become text
inputs, a list of records      a list of dicts whose cells are arrays of no dimension
instances                      a dict of arrays
text/csv                       a DataFrame, of types that pandas guessed from text
Spark, columns one by one      a DataFrame whose columns are named "0", "1", ...
``predict(...)`` in Python     what was given
=============================  ================================================================

This holds for a model whose signature names no inputs, as those of `vae_anomaly.tracking.package`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

from vae_anomaly.data.tables.cells import is_number_text
from vae_anomaly.data.tables.read import as_frame
from vae_anomaly.errors import DataError, SchemaError


class RequestError(SchemaError, MlflowException):  # type: ignore[misc]  # MLflow is not typed
    """A request that cannot be answered at all; over HTTP a 400 that says why."""

    def __init__(self, message: str) -> None:
        MlflowException.__init__(self, message, error_code=INVALID_PARAMETER_VALUE)


class TextOrNumber(str):
    """Text that reads as a number, where NumPy may have made it of one beside other text."""


def request_table(model_input: object, names: Sequence[str]) -> pd.DataFrame:
    """Return what a model was given as a table of N rows with text column names.

    Parameters
    ----------
    model_input : DataFrame, Arrow table, mapping of columns, list of records, array, ...
    names : sequence of str
        The model's columns. They name what comes without names, in their order; a request without
        rows and columns has them all.

    Raises
    ------
    RequestError
        If it is no table.
    """
    try:
        frame = _frame(model_input)
    except (DataError, pa.ArrowException) as err:
        raise RequestError(f"The request is no table: {err}") from None
    if frame.empty and not len(frame.columns):
        return pd.DataFrame(columns=list(names), dtype=object)
    return frame.set_axis(list(names), axis="columns") if _is_sparks(model_input, names) else frame


def _is_sparks(model_input: object, names: Sequence[str]) -> bool:
    """Tell whether columns came one by one, numbered in text; JSON without names has numbers."""
    numbers = [str(place) for place in range(len(names))]
    numbered = isinstance(model_input, pd.DataFrame) and list(model_input.columns) == numbers
    return numbered and not set(names) <= set(numbers)


def _frame(model_input: object) -> pd.DataFrame:
    if isinstance(model_input, Mapping):
        return _from_columns(model_input)
    if isinstance(model_input, list) and all(isinstance(row, Mapping) for row in model_input):
        records = [{name: _cell(cell) for name, cell in row.items()} for row in model_input]
        return as_frame(pd.DataFrame(records, dtype=object))
    if isinstance(model_input, np.ndarray) and model_input.size == 0:
        return pd.DataFrame()
    return as_frame(model_input)


def _from_columns(columns: Mapping[Any, object]) -> pd.DataFrame:
    """Make a table of columns, or of one row where every column is a single cell."""
    cells = {name: _cell(values) for name, values in columns.items()}
    if not any(pd.api.types.is_list_like(values) for values in cells.values()):
        return as_frame(pd.DataFrame([cells], dtype=object))
    return as_frame({name: _column(values) for name, values in cells.items()})


def _cell(value: object) -> object:
    """Return what an array of no dimension holds, and all else as it is."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _column(values: object) -> object:
    """Return the cells of a column, with those marked that NumPy may have turned to text."""
    if not (isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "OU"):
        return values
    if values.dtype.kind == "O":
        return pd.Series([_cell(value) for value in values], dtype=object)
    return pd.Series([_marked(text) for text in values.tolist()], dtype=object)


def _marked(text: str) -> str:
    return TextOrNumber(text) if text == "nan" or is_number_text(text) else text
