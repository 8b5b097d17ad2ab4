"""Columns of a manifest by other names: what other programs call the path and the class."""

from __future__ import annotations

from typing import Final

import pandas as pd

from vae_anomaly.data.images.folders.class_names import are_codes, read_name
from vae_anomaly.data.images.folders.items import ClassNames, Question
from vae_anomaly.data.tables.cells import read_text

PATHS: Final = ("image", "image_path", "img_path", "filename", "file_name", "filepath", "file")
CLASSES: Final = ("label", "class", "target", "category", "defect", "anomaly", "status", "result")


def with_path_and_kind(
    frame: pd.DataFrame, said: ClassNames
) -> tuple[pd.DataFrame, tuple[Question, ...]]:
    """Add ``path`` and ``kind`` where other columns stand for them, and ask what they leave open.

    A column such as ``label`` is the kind where its words say good or defective, or are codes of
    classes; of products or cameras it is left alone. A manifest that has ``kind`` or
    ``is_anomaly`` keeps its own.
    """
    known = {str(name).strip().lower(): name for name in frame.columns}
    path = next((known[name] for name in PATHS if name in known), None)
    if "path" not in frame.columns and path is not None:
        frame = frame.assign(path=frame[path])
    if {"kind", "is_anomaly"} & set(frame.columns):
        return frame, ()
    for name in CLASSES:
        if name in known:
            words = {word for word in read_text(frame[known[name]]) if word}
            if _are_classes(words, said):
                return frame.assign(kind=frame[known[name]]), _left_open(words, said)
    return frame, ()


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
