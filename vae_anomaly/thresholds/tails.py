"""The generalised Pareto tail of scores, fitted in closed form.

Probability-weighted moments need no optimiser, so the fit is deterministic and fast enough to be
repeated hundreds of times for its interval and its goodness of fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vae_anomaly.errors import CalibrationError

__all__ = ["ParetoTail", "fit_tail", "moments_fit"]

FloatArray = NDArray[np.float64]

_MIN_EXCESSES = 25
_N_RESAMPLES = 400


def moments_fit(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit a generalised Pareto law by probability-weighted moments.

    Parameters
    ----------
    excess : ndarray of shape (..., n), float64, sorted
        By how much scores exceed the start of the tail.

    Returns
    -------
    shape, scale : ndarray of shape (...)

    References
    ----------
    Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
    Technometrics 29, 1987, section 3.
    """
    n = excess.shape[-1]
    plotting = (np.arange(1, n + 1) - 0.35) / n
    a0 = excess.mean(axis=-1)
    a1 = (excess * (1 - plotting)).mean(axis=-1)
    gap = np.maximum(a0 - 2 * a1, 1e-12 * a0)
    return 2 - a0 / gap, 2 * a0 * a1 / gap


def _survival(excess: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    ratio = excess / scale
    heavy = np.where(np.abs(shape) < 1e-9, 1e-9, shape)
    inside = np.maximum(1 + heavy * ratio, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(inside > 0, np.exp(-np.log(inside) / heavy), 0.0))


def _distance(excess: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    """Kolmogorov distance between rows of sorted excesses and their own fit."""
    n = excess.shape[-1]
    cdf = 1 - _survival(excess, shape[..., None], scale[..., None])
    grid = np.arange(n) / n
    return np.asarray(np.maximum(cdf - grid, grid + 1 / n - cdf).max(axis=-1))


@dataclass(frozen=True)
class ParetoTail:
    """P(score > start + x) = share * (1 + shape * x / scale) ** (-1 / shape).

    Parameters
    ----------
    start : float
        Score where the tail begins.
    share : float in (0, 1)
        Share of scores above it.
    shape : float
        Above 0: heavier than exponential; below 0: the tail ends.
    scale : float > 0
    fit_p : float in [0, 1]
        Share of tails drawn from this fit that fit worse than the data; below 0.05 = poor fit.
    excess : ndarray of shape (n,), float64, sorted
        What was fitted.
    """

    start: float
    share: float
    shape: float
    scale: float
    fit_p: float
    excess: FloatArray

    def score_at(self, rate: float) -> float:
        """Return the score exceeded with this probability, which is below ``share``."""
        log_ratio = np.log(self.share / rate)
        if abs(self.shape) < 1e-9:
            return float(self.start + self.scale * log_ratio)
        return float(self.start + self.scale * np.expm1(self.shape * log_ratio) / self.shape)

    def fpr_interval(self, score: float, level: float = 0.95) -> tuple[float, float]:
        """Return the bootstrap interval of the probability to exceed a score in the tail."""
        generator = np.random.default_rng(0)
        n = self.excess.size
        drawn = np.sort(self.excess[generator.integers(0, n, (_N_RESAMPLES, n))], axis=1)
        shape, scale = moments_fit(drawn)
        total = round(n / self.share)
        share = generator.binomial(total, self.share, _N_RESAMPLES) / total
        rates = share * _survival(np.asarray(score - self.start), shape, scale)
        low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def describe(self) -> str:
        """Say how far the tail can be trusted."""
        verdict = "fits" if self.fit_p >= 0.05 else "does NOT fit: do not rely on this rate"
        return (
            f"Tail of {self.excess.size} scores above {self.start:.4g}: shape {self.shape:.3g}, "
            f"scale {self.scale:.3g}; it {verdict} (goodness-of-fit p = {self.fit_p:.2g})."
        )


def fit_tail(scores: FloatArray, tail_share: float = 0.1) -> ParetoTail:
    """Fit a generalised Pareto tail to the largest scores.

    Parameters
    ----------
    scores : ndarray of shape (N,), float64, finite
    tail_share : float in (0, 1)
        Share of the scores that form the tail.

    Returns
    -------
    tail : ParetoTail

    Raises
    ------
    CalibrationError
        If fewer than 25 distinct-enough scores form the tail.

    References
    ----------
    Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
    Technometrics 1987. Goodness of fit by parametric bootstrap (Stute et al. 1993).
    """
    start = float(np.quantile(scores, 1 - tail_share, method="inverted_cdf"))
    excess = np.sort(scores[scores > start]) - start
    if excess.size < _MIN_EXCESSES:
        raise CalibrationError(
            f"A tail needs at least {_MIN_EXCESSES} scores above its start; got {excess.size} of "
            f"{scores.size}. Score more normal items or widen the tail."
        )
    shape, scale = moments_fit(excess)
    observed = _distance(excess, shape, scale)
    uniform = np.random.default_rng(0).random((_N_RESAMPLES, excess.size))
    drawn = np.sort(np.expm1(-shape * np.log(uniform)) / shape * scale, axis=1)
    fit_p = float(np.mean(_distance(drawn, *moments_fit(drawn)) >= observed))
    share = excess.size / scores.size
    return ParetoTail(start, share, float(shape), float(scale), fit_p, excess)
