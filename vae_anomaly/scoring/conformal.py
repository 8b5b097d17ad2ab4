"""From a raw score to a conformal p-value, and from there to an anomaly score.

The p-value of a new item is the share of held-out normals that are at least as anomalous, the item
itself counted: ``p(t) = (#{o >= t} + 1) / (n + 1)``. When the item and the held-out normals are
exchangeable, ``P(p <= a) <= a`` for every ``a`` (Vovk, Gammerman and Shafer, Algorithmic Learning
in a Random World, 2005; Laxhammar and Falkman 2010 for anomaly detection).

A p-value has only n + 1 levels, so it ties the worst items. The anomaly score is -log10 p without
ties: it equals -log10 p at every held-out normal, is interpolated between two of them (never above
-log10 p), and continues beyond the last one with a generalised Pareto tail fitted to the largest
tenth (peaks over threshold; Pickands 1975). Scores above log10(n + 1) rest on that tail alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Arrays, Bools, Floats, Ints
from vae_anomaly.errors import CalibrationError
from vae_anomaly.words import number_of, verb_for

TAIL_FRACTION = 0.1
MIN_TAIL_SCORES = 10
MIN_OWN_NORMALS = 100  # held out of one condition, from which it is calibrated by itself
MAX_SHAPE = 0.9  # at 1 the mean excess is infinite and the moments below do not exist


@dataclass(frozen=True)
class ScoreTail:
    """Model excesses over a threshold by a generalised Pareto law without an upper end.

    Parameters
    ----------
    threshold : float
        Where the tail begins, in units of the raw score.
    scale : float
        sigma > 0, in units of the raw score.
    shape : float
        xi in [0, 0.9]; 0 is the exponential law. A negative xi would end the tail and clamp the
        ranking of everything beyond, so it is not used.
    """

    threshold: float
    scale: float
    shape: float

    @classmethod
    def fit(cls, scores: Floats) -> ScoreTail:
        """Fit the largest tenth (at least ten) of ``scores``, keeping their mean excess."""
        ordered = np.sort(scores)
        count = min(max(MIN_TAIL_SCORES, int(TAIL_FRACTION * ordered.size)), ordered.size - 1)
        if count < 1:
            return cls(float(ordered[-1]), _spread(ordered), 0.0)
        threshold = float(ordered[-count - 1])
        excess = ordered[-count:] - threshold
        mean = float(excess.mean())
        if mean <= 0.0:
            return cls(threshold, _spread(ordered), 0.0)
        shape = min(float(moments_fit(excess)[0]), MAX_SHAPE)
        if shape <= 0.0 or count < MIN_TAIL_SCORES:
            return cls(threshold, mean, 0.0)
        return cls(threshold, mean * (1.0 - shape), shape)

    def log10_survival(self, scores: Floats) -> Floats:
        """Return log10 P(score > t | score > threshold), at most 0, shape as given."""
        excess = np.maximum(scores - self.threshold, 0.0) / self.scale
        if self.shape == 0.0:
            return np.asarray(-excess / np.log(10.0))
        return np.asarray(-np.log1p(self.shape * excess) / (self.shape * np.log(10.0)))


class ConformalCalibration:
    """Turn raw scores (higher = more anomalous) into p-values and anomaly scores.

    Parameters
    ----------
    reference : ndarray of shape (n,), float64
        Raw scores of normals that nothing else was fitted on.

    Attributes
    ----------
    levels : ndarray, float64
        The distinct values of the reference, rising; the anomaly score is linear between them.
    spread : float
        Unit of what lies below all of them.

    Examples
    --------
    >>> calibration = ConformalCalibration.fit([1.0, 2.0, 3.0, 4.0])
    >>> calibration.p_value([0.0, 3.5, 9.0]).tolist()
    [1.0, 0.4, 0.2]
    >>> bool(calibration.anomaly_score([9.0])[0] < calibration.anomaly_score([10.0])[0])
    True
    """

    def __init__(self, reference: Floats) -> None:
        self.reference = np.sort(reference)
        self.tail = ScoreTail.fit(self.reference)
        levels, first = np.unique(self.reference, return_index=True)
        self.levels = levels
        self._level_scores = -np.log10((self.n - first + 1.0) / (self.n + 1.0))
        self.spread = _spread(self.reference)

    @classmethod
    def fit(cls, scores: ArrayLike) -> ConformalCalibration:
        """Take the raw scores of held-out normals as the reference.

        Raises `CalibrationError` if there is no score, or one is not finite.
        """
        reference = _finite(scores, "held-out normals")
        if reference.size == 0:
            raise CalibrationError(
                "There are no held-out normals to calibrate on; got 0 scores. "
                "Train on more normals."
            )
        return cls(reference)

    @property
    def n(self) -> int:
        """Number of held-out normals."""
        return int(self.reference.size)

    def p_value(self, scores: ArrayLike) -> Floats:
        """Return the share of held-out normals at least as anomalous, the item counted.

        In [1 / (n + 1), 1], shape (N,), lower = more anomalous. Raises `CalibrationError` if a raw
        score is not finite.
        """
        values = _finite(scores, "items to score")
        at_least = self.n - np.searchsorted(self.reference, values, side="left")
        return np.asarray((at_least + 1.0) / (self.n + 1.0), dtype=np.float64)

    def anomaly_score(self, scores: ArrayLike) -> Floats:
        """Return -log10 p, (N,), strictly increasing in the raw score: higher = more anomalous.

        2 means "as anomalous as 1 in 100 normals"; above log10(n + 1) it is extrapolated; below 0
        the item is less anomalous than every held-out normal. Raises `CalibrationError` if a raw
        score is not finite.
        """
        values = _finite(scores, "items to score")
        inside = np.interp(values, self.levels, self._level_scores)
        top = np.full(1, self.levels[-1])
        beyond = self.tail.log10_survival(top) - self.tail.log10_survival(values)
        beyond = np.where(values > top, beyond, 0.0)
        below = np.log10(1.0 + np.maximum(self.levels[0] - values, 0.0) / self.spread)
        return np.asarray(inside + beyond - below, dtype=np.float64)

    def is_extrapolated(self, scores: ArrayLike) -> Bools:
        """Tell which anomaly scores lie beyond log10(n + 1) and rest on the fitted tail."""
        return np.asarray(self.anomaly_score(scores) > np.log10(self.n + 1.0))

    def reference_scores(self) -> Floats:
        """Return the anomaly scores of the held-out normals, ascending, shape (n,)."""
        return self.anomaly_score(self.reference)


class ConditionalScale:
    """Put the scores of all conditions on one scale: each as -ln p among its own normals.

    A condition (product, machine) with at least 100 held-out normals is compared with those alone
    (Mondrian conformal prediction, Vovk et al. 2005, section 4.5); every other one with all. The
    result is a raw score like any other: rank and calibrate it with `ConformalCalibration`.

    Parameters
    ----------
    scores : ndarray of shape (n,), float64
        Raw scores of held-out normals.
    codes : ndarray of shape (n,), int64
        Their conditions.

    Examples
    --------
    >>> scores, codes = np.r_[np.arange(100.0), 10 * np.arange(100.0)], np.repeat([0, 1], 100)
    >>> scale = ConditionalScale(scores, codes)
    >>> scale(np.array([90.0, 900.0]), np.array([0, 1])).round(2).tolist()
    [2.22, 2.22]
    """

    def __init__(self, scores: Floats, codes: Ints) -> None:
        self.scores, self.codes = scores, codes
        self.pooled = ConformalCalibration.fit(scores)
        values, counts = np.unique(codes, return_counts=True)
        self.own = {
            int(code): ConformalCalibration.fit(scores[codes == code])
            for code in values[counts >= MIN_OWN_NORMALS]
        }

    def __call__(self, scores: Floats, codes: Ints) -> Floats:
        """Return -ln p within each condition, shape (N,), nats; higher = more anomalous."""
        scaled = np.log(10.0) * self.pooled.anomaly_score(scores)
        for code, calibration in self.own.items():
            where = codes == code
            scaled[where] = np.log(10.0) * calibration.anomaly_score(scores[where])
        return np.asarray(scaled)

    def state(self) -> Arrays:
        """Return the arrays that make it again."""
        return {"scores": self.scores, "codes": self.codes}


def moments_fit(
    excess: Floats, weights: Floats | None = None, count: float = 0.0
) -> tuple[Floats, Floats]:
    """Fit a generalised Pareto law by probability-weighted moments.

    Parameters
    ----------
    excess : ndarray of shape (..., n), float64, sorted
        By how much scores exceed the start of the tail.
    weights : ndarray of shape (..., n), float64, optional
        Of the excesses; default: all the same.
    count : float, optional
        With weights, how many independent excesses these are.

    Returns
    -------
    shape, scale : ndarray of shape (...)

    References
    ----------
    Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
    Technometrics 29, 1987, section 3.
    """
    n = excess.shape[-1]
    if weights is None:
        plotting = (np.arange(1, n + 1) - 0.35) / n
        a0 = excess.mean(axis=-1)
        a1 = (excess * (1 - plotting)).mean(axis=-1)
    else:
        share = weights / weights.sum(axis=-1, keepdims=True)
        plotting = np.cumsum(share, axis=-1) - share / 2 + 0.15 / count  # the same, of equal shares
        a0 = (excess * share).sum(axis=-1)
        a1 = (excess * share * (1 - plotting)).sum(axis=-1)
    gap = np.maximum(a0 - 2 * a1, 1e-12 * a0)
    return 2 - a0 / gap, 2 * a0 * a1 / gap


def _spread(ordered: Floats) -> float:
    """Return a positive unit for raw scores: the standard deviation, or 1 where all are equal."""
    return float(ordered.std()) or 1.0


def _finite(scores: ArrayLike, what: str) -> Floats:
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise CalibrationError(
            f"{bad.size} of {number_of(values.size, 'raw score')} of {what} {verb_for(bad.size)} "
            f"not finite; the first is {values[bad[0]]} at position {bad[0]}. Remove or repair "
            "those items."
        )
    return values
