"""From maps and whole-image statistics to the one number that is calibrated.

::

    raw score = sum over four poolings of the score map of -log p
              + max(0, -log p of exposure, contrast and colour - 4.6)
              + 2 max(0, -log p of the hottest cells of the shown map - 2.3)

in nats. The second term speaks only when exposure or colour is rarer than in 99 of 100 normals:
exposures may vary much in training, and then it is rightly silent. The third, where the shown map
is another one, lets the defect heads speak in the same way. In the sum they would talk down what
they have not been taught; in the tail they can only add.

A scratch lifts a few cells, wear lifts them all: no single pooling serves both. `TailPooling` (C4)
pools the map four ways and turns each into the surprise ``-log p`` that held-out normals give it.
Nothing is tuned, and no real defect is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyFloats, AnyInts, Floats
from vae_anomaly.errors import CalibrationError

POOL_SHARES: Final = (0.002, 0.01, 0.10, 1.0)
"""Shares of the highest cells whose mean is taken."""

_TAIL_FROM: Final = 0.90
_BELOW_SLOPE: Final = 0.05

GLOBAL_FROM: Final = 4.6
"""Surprise, in nats, from which the whole-image statistics count: p = 1 %."""

SHOWN_FROM: Final = 2.3
"""Surprise, in nats, from which the hottest cells of the shown map count: p = 10 %."""

SHOWN_VOTES: Final = 2.0
"""Vote of the shown map's hottest cells beyond that; each pooling of the score map has one."""


def pool_maps(maps: AnyFloats, shares: tuple[float, ...] = POOL_SHARES) -> Floats:
    """Return the mean of the highest cells of maps (N, H, W), for several shares, (N, shares).

    Higher = more anomalous; at least one cell is taken.
    """
    flat = np.sort(np.asarray(maps, np.float64).reshape(len(maps), -1), axis=1)[:, ::-1]
    counts = [max(1, round(share * flat.shape[1])) for share in shares]
    return np.stack([flat[:, :count].mean(axis=1) for count in counts], axis=1)


def pool_maps_of_images(score_maps: AnyFloats, shown: AnyFloats | None = None) -> Floats:
    """Pool maps (N, G, G) as the score asks for, (N, P or P + 1).

    `pool_maps` of the score maps; then the hottest cells of the shown ones, if given.
    """
    pools = pool_maps(score_maps)
    return pools if shown is None else np.hstack([pools, pool_maps(shown, POOL_SHARES[:1])])


class PoolSurprise:
    """Turn a number into ``-log p`` (nats) among held-out normals, strictly increasing.

    Between held-out values the surprise is interpolated; above their 90th percentile it follows an
    exponential tail, so it neither stops growing nor ties; below the smallest it falls gently.

    Parameters
    ----------
    reference : ndarray of shape (n,), float64
        Values of held-out normals, higher = more anomalous.

    Attributes
    ----------
    knots : ndarray of shape (K,), float64, strictly rising
        Between them, and beyond them, the surprise is linear.

    Raises
    ------
    CalibrationError
        If there is no value, or one is not finite.
    """

    def __init__(self, reference: AnyFloats) -> None:
        ordered = np.sort(np.asarray(reference, np.float64).reshape(-1))
        if ordered.size == 0 or not np.isfinite(ordered).all():
            raise CalibrationError(
                f"Surprise needs finite values of held-out normals; got {ordered.size} values, "
                f"{int((~np.isfinite(ordered)).sum())} not finite. Train on more good images."
            )
        self.reference = ordered
        unit = float(ordered.std()) or 1.0
        self._start = float(np.quantile(ordered, _TAIL_FROM))
        excess = ordered[ordered > self._start] - self._start
        self._scale = max(float(excess.mean()) if excess.size else unit, 1e-3 * unit)
        self._unit = unit
        self.knots, self._heights = _survival_knots(ordered, self._start)

    def __call__(self, values: AnyFloats) -> Floats:
        """Return the surprise of values of any shape, nats, higher = more anomalous."""
        x = np.asarray(values, np.float64)
        inside = np.interp(x, self.knots, self._heights)
        beyond = np.maximum(x - self._start, 0.0) / self._scale
        below = _BELOW_SLOPE * np.maximum(self.knots[0] - x, 0.0) / self._unit
        return np.asarray(inside + beyond - below, np.float64)

    def leave_one_out(self) -> Floats:
        """Return the surprise of each held-out normal among the *others*, in sorted order.

        A new image is compared with images that it is not among; a held-out normal must be
        too, or the final p-values would lean to one side.
        """
        n = self.reference.size
        if n < 3:
            return self(self.reference)
        others = (np.delete(self.reference, i) for i in range(n))
        return np.array(
            [
                float(PoolSurprise(rest)(self.reference[i : i + 1])[0])
                for i, rest in enumerate(others)
            ]
        )


def _survival_knots(ordered: Floats, start: float) -> tuple[Floats, Floats]:
    """Return where the surprise is known up to the tail, and how high it is there."""
    levels, first = np.unique(ordered, return_index=True)
    heights = -np.log((ordered.size - first + 1.0) / (ordered.size + 1.0))
    inside = levels < start
    knots = np.append(levels[inside], start)
    return knots, np.append(heights[inside], -np.log(1.0 - _TAIL_FROM))


class TailPooling:
    """Sum of the surprises of four poolings of a map (C4), one `PoolSurprise` for each.

    ``pooled`` (n, P) are the `pool_maps` of held-out normals.
    """

    def __init__(self, pooled: AnyFloats) -> None:
        self.pooled = np.asarray(pooled, np.float64)
        self.surprises = [PoolSurprise(column) for column in self.pooled.T]

    def __call__(self, pooled: AnyFloats) -> Floats:
        """Return the surprise of each pooling, (N, P), nats; their sum is the score."""
        columns = [s(column) for s, column in zip(self.surprises, pooled.T, strict=True)]
        return np.stack(columns, axis=1)

    def leave_one_out(self) -> Floats:
        """Return the surprises of the held-out normals, each among the others, (n, P)."""
        columns = []
        for surprise, column in zip(self.surprises, self.pooled.T, strict=True):
            ranks = np.argsort(np.argsort(column, kind="stable"), kind="stable")
            columns.append(surprise.leave_one_out()[ranks])
        return np.stack(columns, axis=1)


class GlobalDistance:
    """Mahalanobis distance of whole-image statistics: too dark, too bright, another colour.

    The map is blind to these by construction, because exposure is taken out before it. Mean (S,)
    and precision (S, S), the inverse of the shrunk covariance, are those of normals.
    """

    def __init__(self, mean: Floats, precision: Floats) -> None:
        self.mean = np.asarray(mean, np.float64)
        self.precision = np.asarray(precision, np.float64)

    @classmethod
    def fit(cls, statistics: AnyFloats) -> GlobalDistance:
        """Learn mean and covariance (Ledoit-Wolf) from statistics (n, S) of normals."""
        from sklearn.covariance import LedoitWolf

        values = np.asarray(statistics, np.float64)
        spread = values.std(axis=0) + 1e-3
        fitted = LedoitWolf().fit(values / spread)
        return cls(values.mean(axis=0), fitted.precision_ / np.outer(spread, spread))

    def __call__(self, statistics: AnyFloats) -> Floats:
        """Return the distance of statistics (N, S), in sd, shape (N,)."""
        centred = np.asarray(statistics, np.float64) - self.mean
        squared = np.einsum("ns,st,nt->n", centred, self.precision, centred)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)), np.float64)


@dataclass(frozen=True)
class PoolEvidence:
    """The parts of the raw score.

    Attributes
    ----------
    pools : ndarray of shape (N, P), float64, nats
        Surprise of each pooling of the score map.
    whole : ndarray of shape (N,), float64, nats
        Surprise of exposure, contrast and colour of the whole image.
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
        `GLOBAL_FROM` and `SHOWN_FROM` it would add the noise of good images.
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
        return {**pools, **shown, "whole_image": self.whole}


class ImageScore:
    """Judge heatmaps and statistics against held-out normals.

    The pooling is that of `pool_maps_of_images`, ``surprise`` that of their distances.
    """

    def __init__(
        self, pooling: TailPooling, distance: GlobalDistance, surprise: PoolSurprise
    ) -> None:
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
            From `pool_maps_of_images`, of maps of the held-out normals by networks that have not
            seen them.
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
        surprise = PoolSurprise(distances[held_out])
        pooling = TailPooling(pooled)
        score = cls(pooling, GlobalDistance.fit(statistics), surprise)
        order = np.argsort(np.argsort(distances[held_out], kind="stable"), kind="stable")
        return score, _evidence(pooling.leave_one_out(), surprise.leave_one_out()[order]).raw_score

    def __call__(self, pooled: AnyFloats, statistics: AnyFloats) -> PoolEvidence:
        """Judge maps that `pool_maps_of_images` pooled, (N, P or P + 1), and statistics (N, S).

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
    def from_state(cls, state: Mapping[str, AnyArray]) -> ImageScore:
        """Make the judge that `state` described."""
        return cls(
            TailPooling(state["pooled"]),
            GlobalDistance(state["global_mean"], state["global_precision"]),
            PoolSurprise(state["global_reference"]),
        )


def _evidence(surprises: Floats, whole: Floats) -> PoolEvidence:
    """Divide the surprises of the columns of `pool_maps_of_images` by the map that they are of."""
    pools, shown = np.split(surprises, [len(POOL_SHARES)], axis=1)
    return PoolEvidence(pools, whole, shown)


def _out_of_fold_distances(statistics: AnyFloats, folds: AnyInts) -> Floats:
    """Return the distance of each image from those of the other folds, (n,)."""
    distances = np.zeros(len(statistics))
    for fold in np.unique(folds):
        inside = folds == fold
        distances[inside] = GlobalDistance.fit(statistics[~inside])(statistics[inside])
    return distances
