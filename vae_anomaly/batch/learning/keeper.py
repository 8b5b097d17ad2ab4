"""Which items of a partition, or of a night, are kept to learn from: never more than a few.

The likeliest, those with the highest raw scores, and those with the smallest draws, which are a
uniform sample. Which these are follows from the items alone, whatever the batches, the partitions
and the order that they come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Indices, Objects
from vae_anomaly.verdicts.kept import MOST_KEPT, KeptFacts, KeptItems
from vae_anomaly.verdicts.learner import REFERENCE
from vae_anomaly.verdicts.ledger import NightItems

_FULL: Final = 2  # times what is kept at most, from which the rest is dropped


@dataclass(frozen=True)
class JudgedItems:
    """N scored items as a keeper takes them.

    Parameters
    ----------
    ids : ndarray of shape (N,), object
        str
    features : ndarray of shape (N, F), float32
    codes : dict of str to ndarray of shape (N,), object
        By column of entities.
    score, p_value, p_combined, surprise, draw : ndarray of shape (N,), float64
        As `KeptItems` has them.
    """

    ids: Objects
    features: AnyArray
    codes: dict[str, Objects]
    score: Floats
    p_value: Floats
    p_combined: Floats
    surprise: Floats
    draw: Floats

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    @property
    def raw_score(self) -> AnyArray:
        """In nats, as precise as it is kept."""
        return np.asarray(self.features[:, 0])

    @classmethod
    def of(cls, kept: KeptItems) -> JudgedItems:
        """Take what was kept of a partition."""
        items = kept.items
        codes = {name: np.array(values, object) for name, values in items.entities.items()}
        return cls(
            np.array(items.ids, object), items.features.astype(np.float32), codes, kept.score,
            kept.p_value, kept.p_combined, kept.surprise, kept.draw,
        )  # fmt: skip

    def take(self, rows: Indices | Bools) -> JudgedItems:
        """Return some of them."""
        codes = {name: values[rows] for name, values in self.codes.items()}
        rest = (getattr(self, name)[rows] for name in _NUMBERS)
        return JudgedItems(self.ids[rows], self.features[rows], codes, *rest)

    def __add__(self, other: JudgedItems) -> JudgedItems:
        """Return both."""
        codes = {name: np.append(own, other.codes[name]) for name, own in self.codes.items()}
        rest = (np.append(getattr(self, name), getattr(other, name)) for name in _NUMBERS)
        features = np.concatenate([self.features, other.features])
        return JudgedItems(np.append(self.ids, other.ids), features, codes, *rest)


_NUMBERS: Final = ("score", "p_value", "p_combined", "surprise", "draw")


class LearnKeeper:
    """Collect what is kept of scored items, never much more than that.

    Parameters
    ----------
    most : int
        Items that are kept for their probability, and as many for their score.
    sample : int
        Items that are drawn.
    """

    def __init__(self, most: int = MOST_KEPT, sample: int = REFERENCE) -> None:
        self._most, self._sample = most, sample
        self._pieces: list[JudgedItems] = []
        self.n_held = 0
        self._bounds: tuple[float, float, float] | None = None  # beyond which nothing is kept

    def take(self, items: JudgedItems) -> None:
        """Take the next items; what is not among the first of all so far is dropped at once."""
        if self._bounds is not None:
            surprise, raw_score, draw = self._bounds
            near = (items.surprise >= surprise) | (items.raw_score >= raw_score)
            items = items.take(near | (items.draw <= draw))
        self._pieces.append(items)
        self.n_held += len(items)
        if self.n_held > _FULL * (2 * self._most + self._sample):
            self._prune()

    def kept(self, facts: KeptFacts, names: Sequence[str]) -> KeptItems | None:
        """Return what is kept, in the order of the ids; None where there was no item."""
        self._prune()
        if not self.n_held:
            return None
        items = self._pieces[0]
        _, likely, high, drawn = self._wanted(items)
        codes = {name: values.tolist() for name, values in items.codes.items()}
        features = items.features.astype(np.float64)
        night = NightItems(
            facts.night, items.ids.tolist(), features, tuple(names), codes, facts.scorer
        )
        return KeptItems(
            facts, night, likely, high, drawn, items.draw, items.score, items.p_value,
            items.p_combined, items.surprise,
        )  # fmt: skip

    def _prune(self) -> None:
        if not self._pieces:
            return
        items = _each_once(reduce(JudgedItems.__add__, self._pieces))
        wanted, likely, high, drawn = self._wanted(items)
        if len(items) > max(self._most, self._sample):
            self._bounds = (
                float(items.surprise[likely].min()),
                float(items.raw_score[high].min()),
                float(items.draw[drawn].max()),
            )
        self._pieces = [items.take(wanted)]
        self.n_held = len(self._pieces[0])

    def _wanted(self, items: JudgedItems) -> tuple[Bools, Bools, Bools, Bools]:
        """Return which are kept at all, for their probability and their score, and drawn."""
        likely = _largest(items.surprise, items.ids, self._most)
        high = _largest(items.raw_score, items.ids, self._most)
        drawn = _largest(-items.draw, items.ids, self._sample)
        return likely | high | drawn, likely, high, drawn


def _largest(values: AnyArray, ids: Objects, most: int) -> Bools:
    """Return which are the ``most`` largest, (N,); of equal ones those whose ids come first."""
    if len(values) <= most:
        return np.ones(len(values), np.bool_)
    bound = np.partition(values, len(values) - most)[len(values) - most]
    chosen = np.asarray(values > bound)
    equal = np.flatnonzero(values == bound)
    first = equal[np.argsort(ids[equal], kind="stable")]
    chosen[first[: most - int(chosen.sum())]] = True
    return chosen


def _each_once(items: JudgedItems) -> JudgedItems:
    """Sort by id; of items that are called alike, in two files, the likeliest one stays."""
    order = np.argsort(items.ids, kind="stable")
    ids = items.ids[order]
    if np.any(ids[1:] == ids[:-1]):
        _, named = np.unique(items.ids.astype(str), return_inverse=True)
        order = np.lexsort((-items.score, -items.surprise, named))
        ids = items.ids[order]
    first = np.append(True, ids[1:] != ids[:-1])
    return items.take(order[first])
