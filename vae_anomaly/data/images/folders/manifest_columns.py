"""Columns of a manifest by other names: what other programs call path, class, part and answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.data.images.folders.class_names import are_codes, file_says_defective, read_name
from vae_anomaly.data.images.folders.class_words import fold
from vae_anomaly.data.images.folders.items import ClassNames, Question
from vae_anomaly.data.tables.cells import read_text

PATHS: Final = (
    "image", "image_path", "img_path", "filename", "file_name", "filepath", "file", "image_name",
    "img", "datei", "dateiname", "dateipfad", "pfad", "bild", "fichier", "chemin", "archivo",
)  # fmt: skip
CLASSES: Final = ("label", "class", "target", "category", "defect", "anomaly", "status", "result")
_PARTS: Final = ("subset", "set", "partition", "phase", "fold")
_YES: Final = frozenset({"1", "yes", "true", "y", "x", "ja", "si", "oui"})
_NO: Final = frozenset({"0", "no", "false", "n", "nein", "non", "-"})
_WHOLE: Final = frozenset(
    {"defect", "defective", "anomaly", "anomalous", "abnormal", "faulty", "bad", "ng", "nok"}
    | {"nio", "fail", "failed", "reject", "rejected", "scrap", "fehlerhaft", "defekt", "ausschuss"}
)
"""Say of all kinds of defects whether there is one."""
_FIXED: Final = frozenset({"path", "id", "mask", "group", "split", *PATHS})
_MOST_WORDS: Final = 30  # of a column of classes


def with_known_columns(
    frame: pd.DataFrame, said: ClassNames
) -> tuple[pd.DataFrame, tuple[Question, ...]]:
    """Add ``path``, ``split`` and the class where other columns stand for them.

    The class is that of columns that answer yes or no to their own name (``good``, ``is_defect``,
    ``scratch``), or the kind of a column such as ``label`` where its words say good or defective,
    or are codes of classes; of any other column only where its words say defective. Of products
    or cameras it is left alone. What words leave open is asked. A manifest that has ``kind`` or
    ``is_anomaly`` keeps its own.
    """
    known = {str(name).strip().lower(): name for name in frame.columns}
    path = next((known[name] for name in PATHS if name in known), None)
    if "path" not in frame.columns and path is not None:
        frame = frame.assign(path=frame[path])
    part = next((known[name] for name in _PARTS if name in known), None)
    if "split" not in frame.columns and part is not None and _are_parts(_words(frame[part])):
        frame = frame.assign(split=frame[part])
    if {"kind", "is_anomaly"} & set(frame.columns):
        return frame, ()
    answers = None if said else _answered(frame)
    if answers is not None:
        return frame.assign(is_anomaly=answers), ()
    for name in _columns_of_classes(frame, known, said):
        return frame.assign(kind=frame[name]), _left_open(_words(frame[name]), said)
    return frame, ()


def _words(column: pd.Series) -> set[str]:
    return {word for word in read_text(column) if word}


def _are_parts(words: set[str]) -> bool:
    return bool(words) and all(read_name(word).part for word in words)


def _answered(frame: pd.DataFrame) -> Floats | None:
    """Return 1 = anomaly, 0 = normal, NaN = not known, of columns whose names say a class.

    A row that answers no to ``is_defect``, or to all kinds of defects, is good; but not where some
    other column of yes and no says yes, which can be one more kind.
    """
    defects: list[Bools] = []
    goods: list[Bools] = []
    others: list[Bools] = []
    is_whole = False
    for name in frame.columns:
        answers = _yes_or_no(frame[name])
        if answers is None or str(name).lower() in _FIXED:
            continue
        word = _without_question(str(name))
        if file_says_defective(word):
            defects.append(answers)
            is_whole |= word in _WHOLE
        else:
            (goods if read_name(word).says == "good" else others).append(answers)
    if not defects and not goods:
        return None
    bad, good = _any(defects, len(frame)), _any(goods, len(frame))
    other = _any([] if is_whole else others, len(frame))
    result = np.full(len(frame), np.nan)
    result[bad & ~good] = 1.0
    result[good & ~bad] = 0.0
    neither = ~bad & ~good
    if not defects:
        result[neither] = 1.0
    elif not goods:
        result[neither & ~other] = 0.0
    return result


def _without_question(name: str) -> str:
    words = fold(name).replace("_", " ").split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in {"is", "has", "ist"} else words)


def _yes_or_no(column: pd.Series) -> Bools | None:
    """Return which cells say yes; None where any says neither, or all are empty."""
    texts = [(text or "").lower() for text in read_text(column)]
    if not set(texts) <= _YES | _NO | {""} or set(texts) == {""}:
        return None
    return np.array([text in _YES for text in texts])


def _any(columns: Sequence[Bools], n: int) -> Bools:
    return np.asarray(np.any([np.zeros(n, np.bool_), *columns], axis=0), np.bool_)


def _columns_of_classes(
    frame: pd.DataFrame, known: Mapping[str, object], said: ClassNames
) -> Iterator[object]:
    for name in CLASSES:
        if name in known and _are_classes(_words(frame[known[name]]), said):
            yield known[name]
    for name in frame.columns:
        words = set() if str(name).strip().lower() in _FIXED else _words(frame[name])
        if len(words) <= _MOST_WORDS and any(read_name(word).says == "defect" for word in words):
            yield name


def _are_classes(words: set[str], said: ClassNames) -> bool:
    says = {read_name(word).says for word in words}
    return bool(says & {"good", "defect"}) or are_codes(words) or bool(said)


def _left_open(words: set[str], said: ClassNames) -> tuple[Question, ...]:
    """Ask where nothing says which words are good."""
    if said or any(read_name(word).says == "good" for word in words):
        return ()
    told = sorted(word for word in words if read_name(word).says == "defect")
    asked = sorted(words - set(told))
    return (Question("classes", ".", tuple(asked), tuple(told)),) if asked else ()
