"""The columns of a table as variables: described once in training, counted each night."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.monitoring.baseline import (
    Baseline,
    Variable,
    category_variable,
    number_variable,
)

if TYPE_CHECKING:
    from vae_anomaly.arrays import Ints
    from vae_anomaly.data.tables.schema import Schema

_PRIVATE: Final = frozenset({"person", "place", "identifier"})


def table_baseline(rows: pd.DataFrame, schema: Schema) -> Baseline:
    """Describe typed training rows, column by column.

    Parameters
    ----------
    rows : DataFrame of N rows
        As `Schema.cast` gives them.
    """
    columns = [column for column in schema.features if column.kind is not ColumnKind.TIMESTAMP]
    variables = tuple(_variable(column, rows[column.name]) for column in columns)
    return Baseline(len(rows), variables, until=latest(rows))


def count_cells(baseline: Baseline, rows: pd.DataFrame) -> Iterator[tuple[str, Ints, int]]:
    """Yield name, counts and empty cells of each column of typed rows that the baseline has."""
    for variable in baseline.variables:
        if variable.name not in rows.columns:
            continue
        cells = rows[variable.name]
        if variable.shape == "number":
            numbers = _numbers(cells)
            known = numbers[np.isfinite(numbers)]
            yield variable.name, variable.binned(known), int(numbers.size - known.size)
        else:
            values = _texts(cells)
            yield variable.name, variable.counted(values), len(cells) - len(values)


def latest(rows: pd.DataFrame) -> str | None:
    """Return the latest time that typed rows tell, ISO 8601 in UTC to the second."""
    times = [rows[name].max() for name in rows.columns if rows[name].dtype.kind == "M"]
    known = [time for time in times if not pd.isna(time)]
    return max(known).floor("s").isoformat() if known else None


def _variable(column: Column, cells: pd.Series) -> Variable:
    is_private = column.role in _PRIVATE
    if column.kind is ColumnKind.NUMERIC:
        return number_variable(column.name, _numbers(cells), is_private=is_private)
    values = _texts(cells)
    return category_variable(column.name, values, len(cells) - len(values), is_private=is_private)


def _numbers(cells: pd.Series) -> Floats:
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _texts(cells: pd.Series) -> list[str]:
    """Return values that are not missing; truth values as yes and no."""
    known = cells[cells.notna()]
    if known.dtype.kind == "f":
        return [{0.0: "no", 1.0: "yes"}.get(value, str(value)) for value in known.tolist()]
    return known.astype(str).tolist()
