"""What a detector will find: raw scores of synthetic defects, by kind and size.

They are kept, not counted: so the share that is found can be told for any threshold, and after a
calibration was made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints
from vae_anomaly.detectors.images.fit.kinds import DEFECT_KINDS
from vae_anomaly.metrics import Interval, proportion_interval

SELF_TEST_FOUND: Final = "self_test_found"
"""Metric: mean share that is found, over kinds and sizes; with ``_KIND`` that of a kind."""

RELIABLY: Final = 0.9
"""Share found from which a size counts as found."""

_ARRAY: Final = "self_test"
_PIXEL: Final = "self_test_pixel"


@dataclass(frozen=True)
class FoundShare:
    """How many synthetic defects of one kind and size are found.

    Parameters
    ----------
    size : int, pixels of the image as the model sees it
        Length of a scratch, diameter of all else.
    own_size : float, pixels
        The same in the user's own images.
    share : Interval
        With its 95 % interval (Clopper-Pearson).
    """

    kind: str
    size: int
    own_size: float
    n: int
    found: int
    share: Interval


@dataclass(frozen=True)
class Prediction:
    """Raw scores of held-out normals with one synthetic defect each.

    Parameters
    ----------
    kind : ndarray of shape (n,), int64
        Number of the kind among `DEFECT_KINDS`.
    size : ndarray of shape (n,), int64, pixels
        As the model sees it.
    raw_score : ndarray of shape (n,), float64, nats
        By networks that had not seen the images.
    pixel : float
        Side of a pixel that the model sees, in pixels of the images themselves.
    """

    kind: Ints
    size: Ints
    raw_score: Floats
    pixel: float

    def found(self, is_found: Bools) -> tuple[FoundShare, ...]:
        """Count what is found of each kind and size, kinds in their order, small sizes first."""
        names, cells = list(DEFECT_KINDS), np.stack([self.kind, self.size], axis=1)
        rows = []
        for code, size in np.unique(cells, axis=0).tolist():
            inside = (self.kind == code) & (self.size == size)
            n, found = int(inside.sum()), int(is_found[inside].sum())
            share = proportion_interval(found, n)
            rows.append(FoundShare(names[code], size, size * self.pixel, n, found, share))
        return tuple(rows)

    @classmethod
    def of(cls, cells: Sequence[tuple[str, int]], raw_score: Floats, pixel: float) -> Self:
        """Make it of kinds and sizes (n), and their raw scores (n,)."""
        names = list(DEFECT_KINDS)
        kind = np.array([names.index(name) for name, _ in cells], np.int64)
        return cls(kind, np.array([size for _, size in cells], np.int64), raw_score, pixel)

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs, as arrays."""
        rows = np.stack([self.kind, self.size, self.raw_score], axis=1)
        return {_ARRAY: np.asarray(rows, np.float64), _PIXEL: np.array([self.pixel])}

    @classmethod
    def from_state(cls, state: Mapping[str, AnyArray]) -> Self | None:
        """Make what `state` described; None of models that kept none."""
        if _ARRAY not in state:
            return None
        kind, size, raw = np.asarray(state[_ARRAY], np.float64).T
        return cls(kind.astype(np.int64), size.astype(np.int64), raw, float(state[_PIXEL][0]))


def found_metrics(found: Sequence[FoundShare]) -> dict[str, float]:
    """Return the mean share over kinds and sizes, and that of each kind; none of no defects."""
    if not found:
        return {}
    kinds = {
        f"{SELF_TEST_FOUND}_{name.replace(' ', '_')}": _mean(rows) for name, rows in by_kind(found)
    }
    return {SELF_TEST_FOUND: _mean(found), **kinds}


def by_kind(found: Sequence[FoundShare]) -> Iterator[tuple[str, tuple[FoundShare, ...]]]:
    """Yield each kind with what is found of it, small sizes first."""
    for name in dict.fromkeys(one.kind for one in found):
        yield name, tuple(one for one in found if one.kind == name)


def _mean(found: Sequence[FoundShare]) -> float:
    return float(np.mean([one.share.estimate for one in found]))
