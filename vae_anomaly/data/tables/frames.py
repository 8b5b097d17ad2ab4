"""Turn any table in memory (Arrow, polars, pandas, records, arrays) into a DataFrame."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeGuard

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from vae_anomaly.errors import DataError


def as_frame(X: object) -> pd.DataFrame:
    """Return any table in memory as a DataFrame with text column names.

    Parameters
    ----------
    X : DataFrame, Arrow table or batch, anything with an Arrow interface
        (``__arrow_c_stream__`` or ``to_arrow``, as polars), mapping of
        columns, list of records, or array of shape (N, D)
        Array columns are named x0, x1, ...

    Returns
    -------
    DataFrame of shape (N, D)
        The values are not copied where they need not be.

    Raises
    ------
    DataError
        If X has not two dimensions, or two columns have one name.
    """
    if isinstance(X, pd.DataFrame):
        frame = X
    elif isinstance(X, (pa.Table, pa.RecordBatch)) or hasattr(X, "__arrow_c_stream__"):
        frame = to_frame(pa.table(X))
    elif hasattr(X, "to_arrow"):
        frame = to_frame(X.to_arrow())
    elif isinstance(X, dict) or _is_records(X):
        frame = _from_columns(X)
    else:
        frame = _from_array(X)
    return _with_text_names(frame)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table; of an index that pandas saved, only a named one stays."""
    unnamed = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    plain = table.drop_columns(unnamed).replace_schema_metadata(None)
    frame = pd.DataFrame(plain.to_pandas())
    for place, column in enumerate(plain.columns):
        if _loses_digits(column):
            exact = column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
            frame.isetitem(place, exact)
    return frame


def _loses_digits(column: pa.ChunkedArray) -> bool:
    """Tell whether whole numbers beside missing cells are too large for a float."""
    if not (pa.types.is_integer(column.type) and column.null_count):
        return False
    bounds = pc.min_max(column).as_py()
    return bool(max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) > 2**53)


def _is_records(X: object) -> TypeGuard[Sequence[dict[str, object]]]:
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(isinstance(r, dict) for r in X)


def _from_columns(X: dict[str, object] | Sequence[dict[str, object]]) -> pd.DataFrame:
    try:
        return pd.DataFrame(X)
    except ValueError as err:
        raise DataError(
            f"{type(X).__name__} is no table: {err}. Give columns of one length, or a list of rows."
        ) from None


def _from_array(X: object) -> pd.DataFrame:
    """Name the columns of an array x0, x1, ..."""
    if hasattr(X, "toarray"):
        raise DataError(f"A sparse {type(X).__name__} is not read. Give X.toarray().")
    try:
        array = np.asarray(X)
    except (ValueError, TypeError) as err:
        raise DataError(f"{type(X).__name__} is no table: {err}. Give a DataFrame.") from None
    if array.ndim != 2:
        raise DataError(
            f"A table has two dimensions (rows, columns). Got {array.ndim}, shape {array.shape}. "
            "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
        )
    return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])


def _with_text_names(frame: pd.DataFrame) -> pd.DataFrame:
    names = [str(name) for name in frame.columns]
    twice: Iterable[str] = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(
            f"The table has more than one column named {sorted(twice)[0]!r}. Rename or drop them."
        )
    if list(frame.columns) == names:
        return frame
    return frame.set_axis(names, axis="columns")
