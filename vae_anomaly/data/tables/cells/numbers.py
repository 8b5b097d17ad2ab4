"""Read cells as numbers or as truth values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.cells.storage import (
    MISSING_WORDS,
    Codes,
    dense,
    distinct_cells,
    is_duration,
    storage_of_type,
)

TRUE_WORDS: Final = frozenset({"true", "yes", "t", "y", "1", "1.0"})
FALSE_WORDS: Final = frozenset({"false", "no", "f", "n", "0", "0.0"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)


def read_numbers(series: pd.Series) -> tuple[Floats, Codes]:
    """Read a column as float64.

    Parameters
    ----------
    series : pandas.Series of length N
        Durations are read as seconds, truth values as 0 and 1.

    Returns
    -------
    values : ndarray of shape (N,), float64
        NaN where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "infinite" or "not_a_number".
    """
    series = dense(series)
    values = _numbers_by_type(series)
    if values is not None:
        return _without_infinite(values, np.full(len(series), None, dtype=object))
    return _by_cell(series, _number)


def read_booleans(series: pd.Series) -> tuple[Floats, Codes]:
    """Read a column as 0.0 and 1.0.

    Parameters
    ----------
    series : pandas.Series of length N
        Truth values, the numbers 0 and 1, or the words true/false, yes/no, t/f, y/n in any case.

    Returns
    -------
    values : ndarray of shape (N,), float64
        0, 1, or NaN where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "not_a_boolean".
    """
    series = dense(series)
    values = _numbers_by_type(series)
    if values is None:
        return _by_cell(series, _boolean)
    codes = np.full(len(series), None, dtype=object)
    bad = ~np.isnan(values) & (values != 0.0) & (values != 1.0)
    codes[bad] = "not_a_boolean"
    return np.where(bad, np.nan, values), codes


def is_number_text(text: str) -> bool:
    """Tell whether text is a number, and not a code such as "007" that a number would destroy."""
    leading_zero = re.match(r"[+-]?0\d", text) is not None
    return _NUMBER.fullmatch(text) is not None and not leading_zero


def _numbers_by_type(series: pd.Series) -> Floats | None:
    """Return the values at once where the type is a number's; None where cells must be read."""
    storage = storage_of_type(series.dtype)
    if storage not in {"number", "boolean"}:
        return None
    if pd.api.types.is_timedelta64_dtype(series.dtype) or is_duration(series.dtype):
        series = pd.Series(series.dt.total_seconds())
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _without_infinite(values: Floats, codes: Codes) -> tuple[Floats, Codes]:
    infinite = np.isinf(values)
    codes[infinite] = "infinite"
    return np.where(infinite, np.nan, values), codes


def _by_cell(series: pd.Series, read: Callable[[object], float | None]) -> tuple[Floats, Codes]:
    """Read every distinct cell alone; `read` gives None for a cell that it cannot read."""
    places, distinct = distinct_cells(series)
    read_cells = [*(read(cell) for cell in distinct), math.nan]  # the last is for missing cells
    bad = np.array([value is None for value in read_cells], dtype=bool)
    values = np.array([math.nan if v is None else v for v in read_cells], dtype=np.float64)
    codes = np.full(len(read_cells), None, dtype=object)
    codes[bad] = "not_a_number" if read is _number else "not_a_boolean"
    values, codes = _without_infinite(values, codes)
    return values[places], codes[places]


def _number(cell: Any) -> float | None:
    """Read one cell as a number; None if it is none. Text "1_000" and "0x1f" are none."""
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in MISSING_WORDS:
            return math.nan
        return float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    try:
        return None if isinstance(cell, (bytes, date)) else float(cell)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _boolean(cell: object) -> float | None:
    """Read one cell as 0.0 or 1.0; None if it is neither."""
    word = str(cell).strip().lower()
    if word in MISSING_WORDS:
        return math.nan
    return 1.0 if word in TRUE_WORDS else 0.0 if word in FALSE_WORDS else None
