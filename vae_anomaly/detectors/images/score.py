"""From heat maps and whole-picture statistics to the one number that is calibrated.

::

    raw score = sum over four poolings of the scored map of -log p
              + max(0, -log p of exposure, contrast and colour - 4.6)
              + 2 max(0, -log p of the hottest cells of the shown map - 2.3)

in nats. The second term speaks only when exposure or colour is stranger than in 99 of 100 normals:
exposures may vary much in training, and then it is rightly silent. The third, where the shown map
is another one, lets the defect heads speak in the same way. In the sum they would talk down what
they have not been taught; in the tail they can only add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, AnyInts, Floats
from vae_anomaly.detectors.images.pooling import (
    POOL_SHARES,
    GlobalDistance,
    Surprise,
    TailPooling,
    pool_maps,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


GLOBAL_FROM: Final = 4.6
"""Surprise, in nats, from which the whole-picture statistics count: p = 1 %."""

SHOWN_FROM: Final = 2.3
"""Surprise, in nats, from which the hottest cells of the shown map count: p = 10 %."""

SHOWN_VOTES: Final = 2.0
"""Vote of the shown map's hottest cells beyond that; each pooling of the scored map has one."""


@dataclass(frozen=True)
class PoolEvidence:
    """The parts of the raw score.

    Attributes
    ----------
    pools : ndarray of shape (N, P), float64, nats
        Surprise of each pooling of the scored map.
    whole : ndarray of shape (N,), float64, nats
        Surprise of exposure, contrast and colour of the whole picture.
    shown : ndarray of shape (N, 0 or 1), float64, nats
        Surprise of the hottest cells of the shown map, where that is another one.
    """

    pools: Floats
    whole: Floats
    shown: Floats

    @property
    def raw_score(self) -> Floats:
        """Sum of the parts, (N,), nats, higher = more anomalous.

        What the linear level may be blind to speaks only when it has something to say: below
        `GLOBAL_FROM` and `SHOWN_FROM` it would add the noise of good pictures.
        """
        beyond = np.maximum(self.shown - SHOWN_FROM, 0.0).sum(axis=1)
        total: Floats = (
            self.pools.sum(axis=1)
            + np.maximum(self.whole - GLOBAL_FROM, 0.0)
            + SHOWN_VOTES * beyond
        )
        return total

    def columns(self) -> dict[str, Floats]:
        """Return the parts by name, for a table."""
        names = [f"heat_top_{100 * share:g}pct" for share in POOL_SHARES]
        shown = {f"shown_top_{100 * POOL_SHARES[0]:g}pct": column for column in self.shown.T}
        pools = dict(zip(names, self.pools.T, strict=True))
        return {**pools, **shown, "whole_picture": self.whole}


class ImageScore:
    """Judge heat maps and statistics against held-out normals.

    Parameters
    ----------
    pooling : TailPooling
        Of the columns of `pool_pictures`.
    distance : GlobalDistance
    surprise : Surprise
        Of the distances of held-out normals.
    """

    def __init__(self, pooling: TailPooling, distance: GlobalDistance, surprise: Surprise) -> None:
        self.pooling = pooling
        self.distance = distance
        self.surprise = surprise

    @classmethod
    def fit(
        cls,
        pooled: AnyFloats,
        statistics: AnyFloats,
        folds: AnyInts,
        held_out: AnyInts,
    ) -> tuple[ImageScore, Floats]:
        """Learn from normals, and return the raw scores of those that are held out.

        Parameters
        ----------
        pooled : ndarray of shape (m, P or P + 1)
            From `pool_pictures`, of maps of the held-out normals by networks that have not seen
            them.
        statistics : ndarray of shape (n, S)
            Of all normals.
        folds : ndarray of shape (n,)
            Fold of each normal; its distance is measured from the other folds.
        held_out : ndarray of shape (m,)
            Which of the n normals the maps belong to.

        Returns
        -------
        score : ImageScore
        raw : ndarray of shape (m,), float64, nats
            Each held-out normal judged among the others.
        """
        distances = _out_of_fold_distances(statistics, folds)
        surprise = Surprise(distances[held_out])
        pooling = TailPooling(pooled)
        score = cls(pooling, GlobalDistance.fit(statistics), surprise)
        order = np.argsort(np.argsort(distances[held_out], kind="stable"), kind="stable")
        return score, _evidence(pooling.leave_one_out(), surprise.leave_one_out()[order]).raw_score

    def __call__(self, pooled: AnyFloats, statistics: AnyFloats) -> PoolEvidence:
        """Judge maps that `pool_pictures` pooled, (N, P or P + 1), and statistics (N, S).

        What it was not fitted to, the shown map of earlier models, is left out.
        """
        known = pooled[:, : len(self.pooling.surprises)]
        return _evidence(self.pooling(known), self.surprise(self.distance(statistics)))

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs, as arrays."""
        return {
            "pooled": self.pooling.pooled,
            "global_mean": self.distance.mean,
            "global_precision": self.distance.precision,
            "global_reference": self.surprise.reference,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[np.generic]]) -> ImageScore:
        """Make the judge that `state` described."""
        arrays = {name: np.asarray(value, np.float64) for name, value in state.items()}
        return cls(
            TailPooling(arrays["pooled"]),
            GlobalDistance(arrays["global_mean"], arrays["global_precision"]),
            Surprise(arrays["global_reference"]),
        )


def pool_pictures(scored: AnyFloats, shown: AnyFloats | None = None) -> Floats:
    """Pool maps (N, G, G) as the score asks for.

    Returns
    -------
    ndarray of shape (N, P or P + 1), float64
        `pool_maps` of the scored maps; then the hottest cells of the shown ones, if given.
    """
    pools = pool_maps(scored)
    return pools if shown is None else np.hstack([pools, pool_maps(shown, POOL_SHARES[:1])])


def _evidence(surprises: Floats, whole: Floats) -> PoolEvidence:
    """Divide the surprises of the columns of `pool_pictures` by the map that they are of."""
    scored, shown = np.split(surprises, [len(POOL_SHARES)], axis=1)
    return PoolEvidence(scored, whole, shown)


def _out_of_fold_distances(statistics: AnyFloats, folds: AnyInts) -> Floats:
    """Return the distance of each picture from those of the other folds, (n,)."""
    distances = np.zeros(len(statistics))
    for fold in np.unique(folds):
        inside = folds == fold
        distances[inside] = GlobalDistance.fit(statistics[~inside])(statistics[inside])
    return distances
