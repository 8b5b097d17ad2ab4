"""From a map to one number, without choosing a pooling by hand.

A scratch lifts a few cells, wear lifts them all: no single pooling serves both. `TailPooling`
(C4) pools the map four ways, turns each into the surprise ``-log p`` that held-out normals give
it, and adds the four up. Nothing is tuned, and no real defect is needed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, Floats
from vae_anomaly.errors import CalibrationError

POOL_SHARES: Final = (0.002, 0.01, 0.10, 1.0)
"""Shares of the highest cells whose mean is taken."""

_TAIL_FROM: Final = 0.90
_BELOW_SLOPE: Final = 0.05


def pool_maps(maps: AnyFloats, shares: tuple[float, ...] = POOL_SHARES) -> Floats:
    """Return the mean of the highest cells of each map, for several shares.

    Parameters
    ----------
    maps : ndarray of shape (N, H, W)
        Higher = more anomalous.
    shares : tuple of float in (0, 1]

    Returns
    -------
    ndarray of shape (N, len(shares)), float64
        At least one cell is taken.
    """
    flat = np.sort(np.asarray(maps, np.float64).reshape(len(maps), -1), axis=1)[:, ::-1]
    counts = [max(1, round(share * flat.shape[1])) for share in shares]
    return np.stack([flat[:, :count].mean(axis=1) for count in counts], axis=1)


class Surprise:
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
                f"{int((~np.isfinite(ordered)).sum())} not finite. Train on more good pictures."
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

        A new picture is compared with pictures that it is not among; a held-out normal must be
        too, or the final p-values would lean to one side.
        """
        n = self.reference.size
        if n < 3:
            return self(self.reference)
        others = (np.delete(self.reference, i) for i in range(n))
        return np.array(
            [float(Surprise(rest)(self.reference[i : i + 1])[0]) for i, rest in enumerate(others)]
        )


def _survival_knots(ordered: Floats, start: float) -> tuple[Floats, Floats]:
    """Return where the surprise is known up to the tail, and how high it is there."""
    levels, first = np.unique(ordered, return_index=True)
    heights = -np.log((ordered.size - first + 1.0) / (ordered.size + 1.0))
    inside = levels < start
    knots = np.append(levels[inside], start)
    return knots, np.append(heights[inside], -np.log(1.0 - _TAIL_FROM))


class TailPooling:
    """Sum of the surprises of four poolings of a map (C4).

    Parameters
    ----------
    pooled : ndarray of shape (n, P), float64
        `pool_maps` of held-out normals.

    Attributes
    ----------
    surprises : list of P Surprise
        One for each pooling.
    """

    def __init__(self, pooled: AnyFloats) -> None:
        self.pooled = np.asarray(pooled, np.float64)
        self.surprises = [Surprise(column) for column in self.pooled.T]

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
    """Mahalanobis distance of whole-picture statistics: too dark, too bright, another colour.

    The map is blind to these by construction, because exposure is taken out before it.

    Parameters
    ----------
    mean : ndarray of shape (S,)
    precision : ndarray of shape (S, S)
        Inverse of the shrunk covariance.
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
