"""Read what names a row or an entity as text, digit for digit, whatever stored it.

A number is compared by its size, a key by its digits: "12e4" is not 120000, "007" not 7, and of two
card numbers of 20 digits none is rounded. So a key is the text that was written, and one key never
depends on what else its column holds. One rewriting is undone: pandas writes a whole number as
"7.0" where another cell of its column is missing, so that 7, 7.0, "7" and "7.0" are one key.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Objects

_WHOLE = re.compile(r"([+-]?(?:0|[1-9]\d*))\.0+")


def read_keys(series: pd.Series) -> Objects:
    """Return the key of each cell, shape (N,), object: str, or None where a cell is empty or blank.

    Read a CSV with the column ``as_text`` (`vae_anomaly.data.tables.read.read_table`): a number has
    forgotten how it was written.

    Examples
    --------
    >>> read_keys(pd.Series([7, 7.0, "7", "7.0", "007", "12e4", " "], dtype=object)).tolist()
    ['7', '7', '7', '7', '007', '12e4', None]
    """
    return np.array([_key(cell) for cell in series.tolist()], dtype=object)


def _key(cell: Any) -> str | None:
    if isinstance(cell, str):
        return _key_of_text(cell)
    if pd.api.types.is_scalar(cell) and pd.isna(cell):
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="backslashreplace")
    return _key_of_text(str(cell))


def _key_of_text(text: str) -> str | None:
    text = text.strip()
    if text in {"True", "TRUE", "False", "FALSE"}:  # as a truth value is written elsewhere
        return text.lower()
    whole = _WHOLE.fullmatch(text)
    return (whole[1] if whole else text) or None
