"""Read a column of labels: 0/1, words for both sides, or the kind of each item."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats, Objects
from vae_anomaly.data.tables.cells import Codes, read_text
from vae_anomaly.data.tables.label_words import (
    NAMES_OF_NORMAL,
    NO,
    UNDECIDED,
    WAITING,
    YES,
    says_anomaly,
    tidy,
)
from vae_anomaly.data.tables.labels.strangers import MAX_NAMED
from vae_anomaly.errors import DataError
from vae_anomaly.words import number_of

MAX_KINDS = 100
SCIKIT_LEARN = {"-1": 1.0, "1": 0.0}  # where a column holds exactly these two
logger = logging.getLogger(__name__)


def read_answers(column: pd.Series) -> tuple[Floats, Codes]:
    """Read a column that answers whether an item is an anomaly, each cell by itself.

    Returns
    -------
    answers : ndarray of shape (N,), float64
        1 = anomaly, 0 = normal, NaN = undecided, or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "not_an_answer".
    """
    texts = read_text(column)
    answers, codes = np.full(len(texts), np.nan), np.full(len(texts), None, dtype=object)
    for row, text in enumerate(texts):
        word = tidy(text or "")
        meaning = None if word == "none" else says_anomaly(word)  # "none" may say nothing
        if meaning is not None:
            answers[row] = meaning
        elif word not in UNDECIDED | WAITING:
            codes[row] = "not_an_answer"
    return answers, codes


def read_labels(column: pd.Series) -> tuple[Floats, Objects | None]:
    """Read a column of labels: 0/1, truth values, words for both sides, or kinds of anomalies.

    The words are those of `words`. Beside a name of the normal items, other words are names
    of kinds of anomalies; so are whole numbers beside 0. Exactly -1 and 1 are what scikit-learn
    writes: -1 is an anomaly.

    Returns
    -------
    labels : ndarray of shape (N,), float64
        1 = anomaly, 0 = normal, NaN = not labelled (an empty cell, "unknown").
    kinds : ndarray of shape (N,), object, or None
        Where the column names kinds.

    Raises
    ------
    DataError
        If a word is not known, or what it means is not certain.
    """
    texts = read_text(column)
    words = {text: tidy(text) for text in dict.fromkeys(texts) if text is not None}
    decided = {word: text for text, word in words.items() if word not in UNDECIDED}
    meant = _meanings(decided, str(column.name))
    if meant is SCIKIT_LEARN:
        counts = Counter(text for text in texts if text is not None)
        require_rare_anomalies(counts, str(column.name))
    found = [np.nan if text is None else meant.get(words[text], np.nan) for text in texts]
    only_answers = decided.keys() <= YES | NO | SCIKIT_LEARN.keys()
    return np.array(found, dtype=np.float64), None if only_answers else texts


def require_rare_anomalies(counts: Mapping[str, int], name: str) -> None:
    """Refuse a column of -1 and 1 in which -1 is the common one: tests write it for "passed".

    Raises
    ------
    DataError
        If -1 stands in more than half of the cells.
    """
    said: Counter[str] = Counter()
    for text, n in counts.items():
        said[tidy(text)] += n
    if said.keys() - UNDECIDED == SCIKIT_LEARN.keys() and said["-1"] > said["1"]:
        share = said["-1"] / (said["-1"] + said["1"])
        raise DataError(
            f"The column {name!r} holds -1 and 1, and -1 in {share:.0%} of the rows. As "
            "scikit-learn writes them, -1 is an anomaly, which is rare. Write 0 for normal rows "
            "and 1 for anomalies."
        )


def _meanings(shown: Mapping[str, str], name: str) -> dict[str, float]:
    """Say what the words of a column mean: 1, 0, or NaN; ``shown`` says how they are written."""
    if shown.keys() == SCIKIT_LEARN.keys():
        logger.warning("%r holds -1 and 1, read as scikit-learn writes them: -1 = anomaly", name)
        return SCIKIT_LEARN
    said = {word: says_anomaly(word) for word in shown}
    strangers = [word for word, meaning in said.items() if meaning is None]
    if WAITING.issuperset(strangers):
        normal, undecided = _normal(said), set(strangers)
        if len(said) > 1 and (YES.issuperset(said) or NO.issuperset(said)):
            raise _uncertain(name, f"{_listed(said, shown)} say the same")
    else:
        normal, undecided = _names_of_normal(said), set()
        if not normal or len(said) > MAX_KINDS or _misspelt(strangers, normal):
            raise _uncertain(name, _why(strangers, said, shown))
    if len(normal) > 1:  # beside another word for normal it means that nothing is known
        undecided |= normal & {"none"}
    return {word: np.nan if word in undecided else float(word not in normal) for word in said}


def _normal(said: Mapping[str, bool | None]) -> set[str]:
    return {word for word, meaning in said.items() if meaning is False}


def _names_of_normal(said: Mapping[str, bool | None]) -> set[str]:
    """Return the words for normal beside which the others are kinds of anomalies."""
    if all(word.isdigit() for word in said):
        return {"0"} if "0" in said and len(said) > 2 else set()
    if len(said) == 2:
        return _normal(said) & NAMES_OF_NORMAL
    return _normal(said) - NO if YES.intersection(said) else _normal(said)  # yes, no and a third


def _misspelt(strangers: Iterable[str], normal: set[str]) -> bool:
    """Tell whether a word that is not known may be one for normal, with a slip."""
    return any(get_close_matches(word, normal, n=1, cutoff=0.8) for word in strangers)


def _why(strangers: list[str], said: Mapping[str, bool | None], shown: Mapping[str, str]) -> str:
    if len(said) > MAX_KINDS:
        return (
            f"it has {number_of(len(said), 'value')}, and kinds of anomalies are {MAX_KINDS} at "
            "most"
        )
    sides = {True: "an anomaly", False: "normal"}
    known = [f"{shown[word]!r} means {sides[m]}" for word, m in said.items() if m is not None]
    contrast = f", while {' and '.join(known[:2])}" if known else ""
    return (
        f"{_listed(strangers, shown)} {'is' if len(strangers) == 1 else 'are'} not known{contrast}"
    )


def _listed(words: Iterable[str], shown: Mapping[str, str]) -> str:
    texts = [repr(shown[word]) for word in words]
    return ", ".join(texts[:MAX_NAMED]) + ", ..." * (len(texts) > MAX_NAMED)


def _uncertain(name: str, why: str) -> DataError:
    return DataError(
        f"The column {name!r} holds no labels that are certain: {why}. Write 0/1, yes/no or "
        "legit/fraud, or kinds of which normal is called good, ok or normal."
    )
