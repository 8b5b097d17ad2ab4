"""How surprising a number is among those of held-out normals: no ties, and no end."""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, Floats
from vae_anomaly.errors import CalibrationError

_TAIL_FROM: Final = 0.90
_BELOW_SLOPE: Final = 0.05
_LEAST_TAIL: Final = 10


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
        self.reference = ordered = _ordered(reference)
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


def _ordered(reference: AnyFloats) -> Floats:
    """Sort the values of held-out normals, or refuse them."""
    ordered = np.sort(np.asarray(reference, np.float64).reshape(-1))
    if ordered.size == 0 or not np.isfinite(ordered).all():
        raise CalibrationError(
            f"Surprise needs finite values of held-out normals; got {ordered.size} values, "
            f"{int((~np.isfinite(ordered)).sum())} not finite. Train on more good images."
        )
    return ordered


def _survival_knots(ordered: Floats, start: float) -> tuple[Floats, Floats]:
    """Return where the surprise is known up to the tail, and how high it is there."""
    levels, first = np.unique(ordered, return_index=True)
    heights = -np.log((ordered.size - first + 1.0) / (ordered.size + 1.0))
    inside = levels < start
    knots = np.append(levels[inside], start)
    return knots, np.append(heights[inside], -np.log(1.0 - _TAIL_FROM))


class PredictiveSurprise:
    """The same, with a tail that knows how few normals it was learnt from.

    Of the largest m excesses, a tenth of all and at least ten, an exponential law is learnt, and a
    new one exceeds x with the predictive probability ``(1 + x / (m mean))**-m``: nearly exponential
    where there are many, and heavy where there are few. What is far out is beyond either; the
    difference is kept for good images that are a little beyond the ten that were seen.

    Parameters
    ----------
    reference : ndarray of shape (n,), float64
        Values of held-out normals, higher = more anomalous.
    least_excess : float
        What the mean excess is taken to be at least, for quantities that can be too much alike.

    Attributes
    ----------
    reference : ndarray of shape (n,), float64, rising
    knots : ndarray of shape (K,), float64, strictly rising
        Between them, and below, the surprise is linear.
    start, scale : float
        Where the tail begins, and m times the mean excess.
    count : int
        m.

    References
    ----------
    Geisser, Predictive Inference, 1993: the exponential law with prior 1 / mean.
    """

    def __init__(self, reference: AnyFloats, least_excess: float = 0.0) -> None:
        self.reference = _ordered(reference)
        n = self.reference.size
        unit = float(self.reference.std()) or 1.0
        self.count = max(1, min(max(_LEAST_TAIL, n // 10), n // 2))
        self.start = float(self.reference[max(0, n - self.count - 1)])
        excess = self.reference[-self.count :] - self.start
        self.scale = self.count * max(float(excess.mean()), 1e-3 * unit, least_excess)
        self._unit = unit
        levels, first = np.unique(self.reference, return_index=True)
        inside = levels < self.start
        heights = -np.log((n - first[inside] + 1.0) / (n + 1.0))
        self.knots = np.append(levels[inside], self.start)
        self._heights = np.append(heights, -np.log((self.count + 1.0) / (n + 1.0)))

    def __call__(self, values: AnyFloats) -> Floats:
        """Return the surprise of values of any shape, nats, higher = more anomalous."""
        x = np.asarray(values, np.float64)
        beyond = np.maximum(x - self.start, 0.0) / self.scale
        return np.asarray(self.below_tail(x) + self.count * np.log1p(beyond), np.float64)

    def below_tail(self, values: AnyFloats) -> Floats:
        """Return the surprise of values up to the tail; beyond its start that of the start."""
        x = np.asarray(values, np.float64)
        below = _BELOW_SLOPE * np.maximum(self.knots[0] - x, 0.0) / self._unit
        return np.asarray(np.interp(x, self.knots, self._heights) - below, np.float64)


class RankSurprise(PredictiveSurprise):
    """The same, but of n normals none is more surprising than ``log((n + 1) / 2)``.

    Up to it the surprise is counted; beyond it goes on as the predictive tail does that was learnt
    from the largest. So no held-out normal owns what is read from a set of them, however far out it
    lies, and a good image a little beyond ten others is no wonder.
    """

    def __init__(self, reference: AnyFloats) -> None:
        super().__init__(reference)
        n = self.reference.size
        self.knots, first = np.unique(self.reference, return_index=True)
        self._heights = -np.log((n - first + 1.0) / (n + 1.0))
        largest = float(self.knots[-1])
        self.scale += largest - self.start
        self.start = largest


def among_others(
    kind: type[PoolSurprise | PredictiveSurprise], values: AnyFloats, parts: int | None = None
) -> Floats:
    """Return the surprise of each held-out normal among *others*, (n,), nats, in their order.

    A new image is compared with images that it is not among; a held-out normal must be too, or the
    final p-values would lean to one side. Where the tail is right, the surprise of a normal is
    exponential, however few there are. One by one takes a square of their number; in so many
    ``parts``, each is judged among those of the other parts.
    """
    n = len(values)
    if n < 3:
        return kind(values)(values)
    step, surprises = min(n, parts or n), np.empty(n)
    for first in range(step):
        part = np.arange(first, n, step)
        surprises[part] = kind(np.delete(values, part))(values[part])
    return surprises
