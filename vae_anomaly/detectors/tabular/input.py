"""What the tabular detector does with input before it is encoded: names, groups, schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Ints
from vae_anomaly.data.tables.frames import as_frame
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.fit.folds import group_codes, weighted_rows
from vae_anomaly.errors import ConfigError, DataError

MAX_ROWS_TO_INFER = 100_000


def read_frame(X: Any) -> pd.DataFrame:
    """Return a table in memory as a DataFrame.

    Raises
    ------
    DataError
        If X is sparse, complex, has no column, or has not two dimensions.
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


def single_row(item: Any) -> Any:
    """Return a row given as a Series, a mapping or a 1-D array as a table of one row."""
    if isinstance(item, pd.Series):
        return item.to_frame().T.infer_objects()
    if isinstance(item, Mapping):
        return pd.DataFrame([dict(item)])
    if isinstance(item, np.ndarray) and item.ndim == 1:
        return item[None]
    return item


def has_names(X: Any) -> bool:
    """Tell whether a table brings names of its own: arrays and lists of numbers do not."""
    return not isinstance(X, np.ndarray | list | tuple) and not hasattr(X, "__array_interface__")


def group_column(frame: pd.DataFrame, groups: Any) -> Any:
    """Return the groups themselves, where ``groups`` names a column of the table."""
    if not isinstance(groups, str):
        return groups
    if groups not in frame.columns:
        raise ConfigError(
            f"groups names column {groups!r}, which the table does not have. "
            f"Columns: {', '.join(map(str, frame.columns[:20]))}."
        )
    return frame[groups].to_numpy()


def counted_rows(
    frame: pd.DataFrame, groups: Any, weights: Any, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame, Ints | None]:
    """Let every row of a training table count as often as its weight says.

    Returns
    -------
    counted : DataFrame
        Each row as often as it counts.
    distinct : DataFrame
        The same rows once each; the schema is inferred from these.
    codes : ndarray of int64, or None
        Group of each counted row; copies of a row are one group where there are no others.
    """
    codes = group_codes(group_column(frame, groups), len(frame))
    rows = weighted_rows(weights, len(frame), rng)
    if rows is None:
        return frame, frame, codes
    once = np.unique(rows)
    if codes is None and len(once) < len(rows):
        codes = np.arange(len(frame))
    counted = frame.iloc[rows].reset_index(drop=True)
    return counted, frame.iloc[once], None if codes is None else group_codes(codes[rows], len(rows))


def infer_schema(
    frame: pd.DataFrame,
    kinds: Mapping[str, str] | None,
    groups: Any,
    *,
    named: bool,
    rng: np.random.Generator,
) -> Schema:
    """Infer the schema of a training table.

    Parameters
    ----------
    frame : DataFrame
    kinds : mapping of str to str, optional
        Kinds that stand whatever the values say.
    groups : array or str, optional
        A column that names the groups is no feature.
    named : bool
        Whether the table brought names; the columns of a bare array of numbers are all numeric.
    rng : numpy Generator
        Draws rows to look at where there are many.
    """
    overrides = dict(kinds or {})
    if isinstance(groups, str):
        overrides.setdefault(groups, "identifier")
    if not named and all(np.issubdtype(dtype, np.number) for dtype in frame.dtypes):
        overrides = dict.fromkeys(frame.columns, "numeric") | overrides
    if len(frame) > MAX_ROWS_TO_INFER:
        rows = rng.choice(len(frame), MAX_ROWS_TO_INFER, replace=False)
        frame = frame.iloc[np.sort(rows)]
    return Schema.infer(frame, overrides=overrides)


def plain_numbers(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame | None:
    """Return the features at once where all are floats, finite or missing; else None."""
    names = [column.name for column in schema.features]
    kinds = {str(column.kind) for column in schema.features}
    if not kinds <= {"numeric", "boolean"} or not set(names) <= set(frame.columns):
        return None
    numbers = frame[names]
    if any(dtype != np.float64 for dtype in numbers.dtypes):
        return None
    return None if np.isinf(numbers.to_numpy()).any() else numbers
