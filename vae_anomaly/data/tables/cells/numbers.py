"""Read cells as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.cells.number_formats import NumberFormat
from vae_anomaly.data.tables.cells.storage import (
    MISSING_WORDS,
    Codes,
    dense,
    distinct_cells,
    is_duration,
    storage_of_type,
)

_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_NUMBER = re.compile(rf"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|{_INFINITE.pattern}", re.IGNORECASE)


def read_numbers(series: pd.Series, form: NumberFormat | None = None) -> tuple[Floats, Codes]:
    """Read a column as float64.

    Parameters
    ----------
    series : pandas.Series of length N
        Durations are read as seconds, truth values as 0 and 1.
    form : NumberFormat, optional
        How text writes numbers; None for plain ones, such as -1234.5 and 1e3. What is stored as a
        number is read whatever the format.

    Returns
    -------
    values : ndarray of shape (N,), float64
        NaN where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "infinite" or "not_a_number".
    """
    series = dense(series)
    values = numbers_by_type(series)
    codes = np.full(len(series), None, dtype=object)
    if values is None:
        values, codes = read_by_cell(series, partial(_number, form=form), "not_a_number")
    return _without_infinite(values, codes)


def is_number_text(text: str) -> bool:
    """Tell whether text is a number, and not a code such as "007" that a number would destroy."""
    return _NUMBER.fullmatch(text) is not None and _LEADING_ZERO.match(text) is None


def numbers_by_type(series: pd.Series) -> Floats | None:
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


def read_by_cell(
    series: pd.Series, read: Callable[[object], float | None], code: str
) -> tuple[Floats, Codes]:
    """Read every distinct cell alone; one of which `read` makes None is bad and gets the code."""
    places, distinct = distinct_cells(series)
    read_cells = [*(read(cell) for cell in distinct), math.nan]  # the last is for missing cells
    bad = np.array([value is None for value in read_cells], dtype=bool)
    values = np.array([math.nan if v is None else v for v in read_cells], dtype=np.float64)
    codes = np.full(len(bad), None, dtype=object)
    codes[bad] = code
    return values[places], codes[places]


def _number(cell: Any, form: NumberFormat | None) -> float | None:
    """Read one cell as a number; None if it is none. Text "1_000" and "0x1f" are none."""
    if isinstance(cell, str):
        return _number_of_text(cell.strip(), form)
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    try:
        return None if isinstance(cell, (bytes, date)) else float(cell)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _number_of_text(text: str, form: NumberFormat | None) -> float | None:
    if text.lower() in MISSING_WORDS:
        return math.nan
    if form is None or _INFINITE.fullmatch(text):
        return float(text) if _NUMBER.fullmatch(text) else None
    return form.read(text)
