"""Read cells as text, one text for one value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Objects
from vae_anomaly.data.tables.cells.numbers import is_number_text
from vae_anomaly.data.tables.cells.storage import MISSING_WORDS, dense, distinct_cells

_WHOLE = re.compile(r"([+-]?[1-9]\d*)\.0*")
_SOME: Final = 20_000
DIGITS_OF_A_FLOAT: Final = 15  # longer numbers are names, and stay as they are written


def read_text(series: pd.Series) -> Objects:
    """Read a column as text, the same for one value however it is stored.

    Parameters
    ----------
    series : pandas.Series of length N
        A number is written in one way, so that 1.5, "1.50" and "+1.5" are one category, and 7, 7.0
        and "7"; so are True and "TRUE". "007" is no number. Text loses the spaces around it.

    Returns
    -------
    ndarray of shape (N,), object
        str, or None where a cell is missing.
    """
    series = dense(series)
    codes, distinct = distinct_cells(series)
    texts = np.array([*(_text(value) for value in distinct), None], dtype=object)
    return texts[codes]


def text_counts(series: pd.Series) -> dict[str, int]:
    """Count the distinct texts of a column, most frequent first, words for missing left out."""
    counts: dict[str, int] = {}
    for cell, n in _counted_cells(series):
        text = _text(cell)
        if text is not None and text.lower() not in MISSING_WORDS:
            counts[text] = counts.get(text, 0) + n
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def written_counts(series: pd.Series) -> dict[str, int]:
    """Count the distinct texts as they are written, words for missing and numbers left out."""
    counts: dict[str, int] = {}
    for cell, n in _counted_cells(series):
        if isinstance(cell, str) and (text := cell.strip()).lower() not in MISSING_WORDS:
            counts[text] = counts.get(text, 0) + n
    return counts


def _counted_cells(series: pd.Series) -> Iterator[tuple[object, int]]:
    """Yield the distinct cells of a column, missing ones left out, and how often each is there."""
    places, distinct = distinct_cells(dense(series))
    numbers = np.bincount(places[places >= 0], minlength=len(distinct))
    return zip(distinct, numbers.tolist(), strict=True)


def some_of(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return texts at equal distances, at most 20,000, to see at a glance what all may be."""
    every = -(-len(counts) // _SOME)
    return counts if every <= 1 else dict(islice(counts.items(), 0, None, every))


def _text(cell: object) -> str | None:
    """Write one cell as text; None for nothing but spaces."""
    text = str(cell).strip()
    if text.lower() in {"true", "false"}:
        return text.lower()
    whole = _WHOLE.fullmatch(text)  # beside a missing cell, a number of 16 digits is a float
    text = whole[1] if whole else text
    if len(text) <= DIGITS_OF_A_FLOAT and is_number_text(text):
        value = float(text)
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return text or None
