"""Items that two models are compared on, and which of them neither was trained on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Floats, Objects
from vae_anomaly.batch.histories import with_past
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import (
    ClassNames,
    ImageItem,
    condition_of,
    scan_labelled,
    select,
)
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.labels import column_of, match_labels
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.detectors.judged import columns_as_text, judge_images, judge_rows, row_faults
from vae_anomaly.detectors.known_items import known_images, known_rows
from vae_anomaly.errors import DataError
from vae_anomaly.evaluation.items import BLOCK_IMAGES, BLOCK_ROWS
from vae_anomaly.names import shown_source
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import AnyDetector, ImageDetector, TableDetector

_MOST_REPEATED: Final = 0.5
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HoldOut:
    """N items with what is known of them.

    Parameters
    ----------
    source : str
        Where they are from, in words.
    ids : ndarray of shape (N,), object
    labels : ndarray of shape (N,), float64
        1 = anomaly, 0 = normal, NaN = not told.
    groups : ndarray of shape (N,), object, optional
    rows : DataFrame, optional
        Of a table, as read.
    images : tuple of ImageItem
    notes : tuple of str
    scores : tuple of ndarray of shape (N,), float64
        Of each model that was asked; NaN of what it cannot score.
    """

    source: str
    ids: Objects
    labels: Floats
    groups: Objects | None = None
    rows: pd.DataFrame | None = None
    images: tuple[ImageItem, ...] = ()
    notes: tuple[str, ...] = ()
    scores: tuple[Floats, ...] = ()
    pasts: dict[int, pd.DataFrame] = field(default_factory=dict)  # with features, by detector

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, keep: Bools, *notes: str) -> HoldOut:
        """Return some of the items, with what is to be said of the others."""
        return replace(
            self,
            ids=self.ids[keep],
            labels=self.labels[keep],
            groups=None if self.groups is None else self.groups[keep],
            rows=None if self.rows is None else self.rows[keep],
            images=tuple(one for one, kept in zip(self.images, keep, strict=False) if kept),
            scores=tuple(one[keep] for one in self.scores),
            pasts={},
            notes=(*self.notes, *notes),
        )


@dataclass(frozen=True)
class Asked:
    """How items are found, and where they say what they are.

    Parameters
    ----------
    source : path, pattern or list
    labels, groups, state, classes, follow_links, reading
        As for `vae_anomaly.evaluation.score_items`.
    """

    source: str | Sequence[str]
    labels: str | None = None
    groups: str | None = None
    state: str | None = None
    classes: ClassNames | None = None
    follow_links: bool = False
    reading: ImageReading | None = None


def find_items(asked: Asked, detectors: Sequence[AnyDetector]) -> HoldOut:
    """Read a holdout: a table, or images of which only a part ``test`` is taken, if there is one.

    Raises
    ------
    DataError
        If there is nothing, or labels cannot be read.
    """
    first = detectors[0]
    if first.kind == "image":
        listing = scan_labelled(asked.source, asked.classes, follow_links=asked.follow_links)
        items = select(listing, "test", asked.source).items
        return of_images(items, shown_source(asked.source))
    tables = [one for one in detectors if one.kind == "tabular"]
    as_text = dict.fromkeys(name for one in tables for name in columns_as_text(one))
    rows = read_table(asked.source, as_text=tuple(as_text))
    return of_rows(rows, shown_source(asked.source), asked, first.schema_.id_column)


def of_images(items: Sequence[ImageItem], source: str, groups: Objects | None = None) -> HoldOut:
    """Return listed images with what their folders or manifest say."""
    told = [np.nan if one.is_anomaly is None else float(one.is_anomaly) for one in items]
    if groups is None and any(one.group for one in items):
        groups = np.array([one.group or one.id for one in items], dtype=object)
    ids = np.array([one.id for one in items], dtype=object)
    return HoldOut(source, ids, np.array(told, np.float64), groups, images=tuple(items))


def of_rows(rows: pd.DataFrame, source: str, asked: Asked, id_column: str | None) -> HoldOut:
    """Return rows with the labels and groups that their columns, or a file, say."""
    keys = read_keys(rows[id_column]) if id_column in rows.columns else None
    numbers = np.array([f"row {i + 1}" for i in range(len(rows))], dtype=object)
    labels = np.full(len(rows), np.nan)
    if asked.labels is not None and (":" in asked.labels or asked.labels in rows.columns):
        labels = match_labels(asked.labels, rows, keys, id_column).labels
    groups = None
    if asked.groups is not None:
        told = read_text(column_of(rows, asked.groups, "--groups"))
        groups = np.array(
            [n if g is None else g for g, n in zip(told, numbers, strict=True)], dtype=object
        )
    ids = np.asarray(numbers if keys is None else keys, dtype=object)
    return HoldOut(source, ids, labels, groups, rows=rows.reset_index(drop=True))


def with_verdicts(held: HoldOut, verdicts: pd.DataFrame) -> HoldOut:
    """Add reviewers' verdicts to the items that have no label; what nobody judged stays open."""
    if verdicts.empty:
        return held
    ids = pd.Index([str(name) for name in held.ids])
    said = verdicts.set_index("item")["is_anomaly"].astype("float64").reindex(ids).to_numpy()
    use = np.isfinite(said) & ~np.isfinite(held.labels)
    if not use.any():
        return held
    note = f"{number_of(int(use.sum()), 'item')} as reviewers judged them"
    return replace(held, labels=np.where(use, said, held.labels), notes=(*held.notes, note))


def scores_on(
    detector: AnyDetector,
    held: HoldOut,
    state: str | None = None,
    reading: ImageReading | None = None,
    progress: Progress = null_progress,
) -> Floats:
    """Return the anomaly scores of a holdout, (N,); NaN of what cannot be scored."""
    if detector.kind == "image":
        return _image_scores(detector, held, reading, progress)
    frame = _frame(detector, held, state)
    detector.schema_.check(frame)
    faults, scores = row_faults(detector, frame), []
    for start in range(0, len(frame), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        scores.append(judge_rows(detector, frame.iloc[part], faults[part]).verdicts.score)
        progress("score rows", min(start + BLOCK_ROWS, len(frame)), len(frame))
    return np.concatenate([np.empty(0), *scores])


def _image_scores(
    detector: ImageDetector, held: HoldOut, reading: ImageReading | None, progress: Progress
) -> Floats:
    where, scores = detector.condition, []
    for start in range(0, len(held), BLOCK_IMAGES):
        block = held.images[start : start + BLOCK_IMAGES]
        told = None if where is None else [condition_of(one, where) for one in block]
        scores.append(judge_images(detector, block, told, reading).verdicts.score)
        progress("score images", start + len(block), len(held))
    return np.concatenate([np.empty(0), *scores])


def _frame(detector: TableDetector, held: HoldOut, state: str | None) -> pd.DataFrame:
    """Return the rows with the features of their entities' past, in their order."""
    assert held.rows is not None  # noqa: S101 - a table has rows
    if id(detector) in held.pasts:
        return held.pasts[id(detector)]
    frame = with_past(detector.entities_, held.rows, state)
    if len(frame) != len(held.rows):
        raise DataError(
            f"Of {number_of(len(held.rows), 'row')} of {held.source} only {len(frame):,} have a "
            "time at which they happened. Give each row its time."
        )
    held.pasts[id(detector)] = frame
    return frame


def known_to(
    detector: AnyDetector, held: HoldOut, state: str | None, reading: ImageReading | None
) -> Bools | None:
    """Tell which items a model knows from its training, as `known_items`; None: cannot be told."""
    if detector.kind == "image":
        return known_images(detector, held.images, reading)
    return known_rows(detector, _frame(detector, held, state))


def unknown_to_both(
    held: HoldOut,
    champion: AnyDetector,
    challenger: AnyDetector,
    state: str | None = None,
    reading: ImageReading | None = None,
) -> HoldOut:
    """Leave out what either was trained on, as far as they remember it.

    Where most rows equal rows that both remember, rows repeat by nature, or both were trained on
    them: that cannot be told, and they stay with a note.

    Raises
    ------
    DataError
        If nothing is left.
    """
    known = [known_to(one, held, state, reading) for one in (champion, challenger)]
    found = [one for one in known if one is not None]
    if not found:
        return replace(held, notes=(*held.notes, "what the models were trained on is not known"))
    either, both = np.any(found, axis=0), np.all(found, axis=0)
    n, noun = int(either.sum()), "row" if held.rows is not None else "image"
    if held.rows is not None and len(held) and both.mean() > _MOST_REPEATED:
        return replace(held, notes=(*held.notes, (
            f"{both.mean():.0%} of the rows equal rows that both models remember: rows repeat by "
            "nature, or both were trained on them, which cannot be told"
        )))  # fmt: skip
    if n == len(held):
        raise DataError(
            f"All {number_of(n, noun)} of {held.source} were in the training of one of the two "
            "models. Compare on newer ones: --holdout."
        )
    told = f"{number_of(n, noun)} left out that one of the two knows from its training"
    return held.take(~either, *((told,) if n else ()))
