"""What a table detector does with input before it is encoded: a frame of typed columns."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Objects
from vae_anomaly.data.tables.read import as_frame, is_records
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import DataError, SchemaError


def read_frame(X: object) -> pd.DataFrame:
    """Return a table in memory as a DataFrame.

    A `DataError` says that it is sparse, complex, has no column, or has not two dimensions.
    """
    if hasattr(X, "tocsr"):
        raise DataError(f"Sparse data is not supported; got {type(X).__name__}. Pass X.toarray().")
    frame = as_frame(X)
    if any(isinstance(t, np.dtype) and t.kind == "c" for t in frame.dtypes):
        raise DataError("Complex data not supported. Pass real and imaginary part as two columns.")
    if frame.shape[1] == 0:
        raise DataError(
            f"The table has 0 feature(s) (shape=({len(frame)}, 0)) while a minimum of 1 is "
            "required. Pass the columns that describe a row."
        )
    return frame


def single_row(item: object) -> object:
    """Return a row given as a Series, a mapping or a 1-D array as a table of one row."""
    if isinstance(item, pd.Series):
        return item.to_frame().T.infer_objects()
    if isinstance(item, Mapping):
        return pd.DataFrame([dict(item)])
    if isinstance(item, np.ndarray) and item.ndim == 1:
        return item[None]
    return item


def has_names(X: object) -> bool:
    """Tell whether a table brings names of its own: arrays and lists of numbers do not."""
    if isinstance(X, list | tuple):
        return is_records(X)
    return not isinstance(X, np.ndarray) and not hasattr(X, "__array_interface__")


def named_rows(X: object, names: Objects | None, n_features: int, owner: str) -> pd.DataFrame:
    """Return a frame; an array gets the names of the training columns, if they had any, in order.

    A `SchemaError` says that an array has another number of columns.
    """
    frame = read_frame(X)
    if has_names(X):
        return frame
    if frame.shape[1] != n_features:
        raise SchemaError(
            f"X has {frame.shape[1]} features, but {owner} is expecting "
            f"{n_features} features as input. Pass the columns it was trained on."
        )
    if names is None:
        return frame
    warnings.warn(
        f"X does not have valid feature names, but {owner} was fitted with feature names",
        UserWarning,
        stacklevel=5,
    )
    return frame.set_axis(names, axis=1)


def typed_rows(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Return the feature columns with their types, or raise what is wrong with them."""
    plain = _plain_numbers(frame, schema)
    if plain is not None:
        return plain
    schema.check(frame)
    return schema.cast(frame)


def _plain_numbers(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame | None:
    """Return the features at once where all are floats, finite or missing; else None."""
    names = [column.name for column in schema.features]
    kinds = {str(column.kind) for column in schema.features}
    if not kinds <= {"numeric", "boolean"} or not set(names) <= set(frame.columns):
        return None
    numbers = frame[names]
    if any(dtype != np.float64 for dtype in numbers.dtypes):
        return None
    return None if np.isinf(numbers.to_numpy()).any() else numbers
