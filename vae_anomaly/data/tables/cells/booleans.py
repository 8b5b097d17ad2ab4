"""Read cells as truth values, in the words of several languages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.cells.numbers import numbers_by_type, read_by_cell
from vae_anomaly.data.tables.cells.storage import MISSING_WORDS, Codes, dense

_OF_ALL: Final = ("true t 1 1.0", "false f 0 0.0")
_BY_LANGUAGE: Final = (
    ("yes y", "no n"),
    ("on", "off"),
    ("ja j wahr", "nein n falsch"),
    ("oui o vrai", "non n faux"),
    ("sí si verdadero", "no n falso"),
    ("sì si vero", "no n falso"),
    ("sim verdadeiro", "não nao n falso"),
    ("ja j waar", "nee n onwaar"),
    ("ja j sant", "nej n falskt"),
    ("tak t prawda", "nie n fałsz"),
)
_LANGUAGES: Final = [
    (frozenset(f"{_OF_ALL[0]} {true}".split()), frozenset(f"{_OF_ALL[1]} {false}".split()))
    for true, false in _BY_LANGUAGE
]
TRUE_WORDS: Final = frozenset().union(*(true for true, _ in _LANGUAGES))
FALSE_WORDS: Final = frozenset().union(*(false for _, false in _LANGUAGES))


def are_truth_words(words: Collection[str]) -> bool:
    """Tell whether words, in lower case, say both true and false, in one language.

    More than two words are not all single letters: n, o and t may be none, one and two. N and O
    alone are north and east as well as French, and stay categories.
    """
    said = set(words)
    if said == {"n", "o"}:
        return False
    if len(said) > 2 and all(len(word) == 1 and word.isalpha() for word in said):
        return False
    return any(said & true and said & false and said <= true | false for true, false in _LANGUAGES)


def read_booleans(series: pd.Series) -> tuple[Floats, Codes]:
    """Read a column as 0.0 and 1.0.

    Parameters
    ----------
    series : pandas.Series of length N
        Truth values, the numbers 0 and 1, or words in any case: true/false, t/f, yes/no, y/n,
        on/off, ja/nein, oui/non, sí/no and others of `TRUE_WORDS` and `FALSE_WORDS`.

    Returns
    -------
    values : ndarray of shape (N,), float64
        0, 1, or NaN where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "not_a_boolean".
    """
    series = dense(series)
    values = numbers_by_type(series)
    if values is None:
        return read_by_cell(series, _boolean, "not_a_boolean")
    codes = np.full(len(series), None, dtype=object)
    bad = ~np.isnan(values) & (values != 0.0) & (values != 1.0)
    codes[bad] = "not_a_boolean"
    return np.where(bad, np.nan, values), codes


def _boolean(cell: object) -> float | None:
    """Read one cell as 0.0 or 1.0; None if it is neither."""
    word = str(cell).strip().lower()
    if word in MISSING_WORDS:
        return np.nan
    return 1.0 if word in TRUE_WORDS else 0.0 if word in FALSE_WORDS else None
