"""From heat maps and whole-picture statistics to the one number that is calibrated.

``raw score = sum over four poolings of -log p + max(0, -log p_global - 4.6)``, in nats. The second
term speaks only when exposure or colour is stranger than in 99 of 100 normals: exposures may vary
much in training, and then it is rightly silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.scoring.pooling import (
    POOL_SHARES,
    GlobalDistance,
    Surprise,
    TailPooling,
    pool_maps,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Arrays = Mapping[str, NDArray[np.generic]]

__all__ = ["GLOBAL_FROM", "ImageScore", "PoolEvidence"]

GLOBAL_FROM: Final = 4.6
"""Surprise, in nats, from which the whole-picture statistics count: p = 1 %."""


@dataclass(frozen=True)
class PoolEvidence:
    """The parts of the raw score.

    Attributes
    ----------
    pools : ndarray of shape (N, P), float64, nats
        Surprise of each pooling of the heat map.
    whole : ndarray of shape (N,), float64, nats
        Surprise of exposure, contrast and colour of the whole picture.
    """

    pools: Floats
    whole: Floats

    @property
    def raw_score(self) -> Floats:
        """Sum of the parts, (N,), nats, higher = more anomalous."""
        total: Floats = self.pools.sum(axis=1) + np.maximum(self.whole - GLOBAL_FROM, 0.0)
        return total

    def columns(self) -> dict[str, Floats]:
        """Return the parts by name, for a table."""
        names = [f"heat_top_{100 * share:g}pct" for share in POOL_SHARES]
        return {**dict(zip(names, self.pools.T, strict=True)), "whole_picture": self.whole}


class ImageScore:
    """Judge heat maps and statistics against held-out normals.

    Parameters
    ----------
    pooling : TailPooling
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
        heat: NDArray[np.floating],
        statistics: NDArray[np.floating],
        folds: NDArray[np.integer],
        held_out: NDArray[np.integer],
    ) -> tuple[ImageScore, Floats]:
        """Learn from normals, and return the raw scores of those that are held out.

        Parameters
        ----------
        heat : ndarray of shape (m, G, G)
            Maps of the held-out normals, by networks that have not seen them.
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
        return cls.fit_pools(pool_maps(heat), statistics, folds, held_out)

    @classmethod
    def fit_pools(
        cls,
        pooled: NDArray[np.floating],
        statistics: NDArray[np.floating],
        folds: NDArray[np.integer],
        held_out: NDArray[np.integer],
    ) -> tuple[ImageScore, Floats]:
        """Learn as `fit` does from maps that were pooled before, (m, P): too large to be kept."""
        distances = _out_of_fold_distances(statistics, folds)
        surprise = Surprise(distances[held_out])
        pooling = TailPooling(pooled)
        score = cls(pooling, GlobalDistance.fit(statistics), surprise)
        order = np.argsort(np.argsort(distances[held_out], kind="stable"), kind="stable")
        evidence = PoolEvidence(pooling.leave_one_out(), surprise.leave_one_out()[order])
        return score, evidence.raw_score

    def __call__(
        self, heat: NDArray[np.floating], statistics: NDArray[np.floating]
    ) -> PoolEvidence:
        """Judge maps (N, G, G) and statistics (N, S)."""
        return self.of_pools(pool_maps(heat), statistics)

    def of_pools(
        self, pooled: NDArray[np.floating], statistics: NDArray[np.floating]
    ) -> PoolEvidence:
        """Judge maps that were pooled before, (N, P), and statistics (N, S)."""
        return PoolEvidence(self.pooling(pooled), self.surprise(self.distance(statistics)))

    def state(self) -> dict[str, Floats]:
        """Return all that `from_state` needs, as arrays."""
        return {
            "pooled": self.pooling.pooled,
            "global_mean": self.distance.mean,
            "global_precision": self.distance.precision,
            "global_reference": self.surprise.reference,
        }

    @classmethod
    def from_state(cls, state: Arrays) -> ImageScore:
        """Make the judge that `state` described."""
        arrays = {name: np.asarray(value, np.float64) for name, value in state.items()}
        return cls(
            TailPooling(arrays["pooled"]),
            GlobalDistance(arrays["global_mean"], arrays["global_precision"]),
            Surprise(arrays["global_reference"]),
        )


def _out_of_fold_distances(statistics: NDArray[np.floating], folds: NDArray[np.integer]) -> Floats:
    """Return the distance of each picture from those of the other folds, (n,)."""
    distances = np.zeros(len(statistics))
    for fold in np.unique(folds):
        inside = folds == fold
        distances[inside] = GlobalDistance.fit(statistics[~inside])(statistics[inside])
    return distances
