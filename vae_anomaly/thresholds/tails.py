"""The generalised Pareto tail of scores, fitted in closed form.

Probability-weighted moments need no optimiser, so the fit is deterministic and fast enough to be
repeated hundreds of times for its interval and its goodness of fit.

Exceedances of one group (part, customer, camera) come in clusters. Instead of keeping one of each
cluster (declustering: Davison and Smith, Models for exceedances over high thresholds, 1990), every
item stays and every *group* weighs the same, so that the tail is that of an item of a new group;
the interval resamples whole groups, and groups, not items, count as evidence for the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vae_anomaly.arrays import Floats, Indices
from vae_anomaly.errors import CalibrationError
from vae_anomaly.scoring.conformal import moments_fit
from vae_anomaly.thresholds.conformal import CalibrationUnits, calibration_units
from vae_anomaly.words import number_of

_MIN_EXCESSES = 25
_N_RESAMPLES = 400
_LEAST_RATE = 0.01  # a resampled tail that ends before a score counts as this share of its rate


def _survival(excess: Floats, shape: Floats, scale: Floats) -> Floats:
    ratio = excess / scale
    heavy = np.where(np.abs(shape) < 1e-9, 1e-9, shape)
    inside = np.maximum(1 + heavy * ratio, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(inside > 0, np.exp(-np.log(inside) / heavy), 0.0))


def _distance(excess: Floats, shape: Floats, scale: Floats) -> Floats:
    """Kolmogorov distance between rows of sorted excesses and their own fit."""
    n = excess.shape[-1]
    cdf = 1 - _survival(excess, shape[..., None], scale[..., None])
    grid = np.arange(n) / n
    return np.asarray(np.maximum(cdf - grid, grid + 1 / n - cdf).max(axis=-1))


def _weighted_distance(excess: Floats, shape: Floats, scale: Floats, weights: Floats) -> Floats:
    """Kolmogorov distance between weighted, sorted excesses and their fit."""
    reached = np.cumsum(weights) / weights.sum()
    cdf = 1 - _survival(excess, shape, scale)
    last = np.unique(excess[::-1], return_index=True)[1]  # of equal excesses the last counts
    at = excess.size - 1 - last
    before = np.append(0.0, reached[at][:-1])
    return np.asarray(np.maximum(cdf[at] - before, reached[at] - cdf[at]).max())


@dataclass(frozen=True)
class TailGroups:
    """To which groups the n excesses of a tail belong.

    The tail is worth ``count`` groups: fewer than those with an excess where some have more of it
    than others (Kish 1965).
    """

    unit: Indices  # (n,), group of each excess
    weight: Floats  # (n,), share of the group's items that each excess is
    n_groups: int  # in all, most of them without an excess
    count: float

    @classmethod
    def of(cls, units: CalibrationUnits, place: Indices) -> TailGroups:
        """Describe the groups of the excesses at these places among the normals."""
        weight = units.share[place] * (units.count + 1)
        total = np.bincount(units.unit[place], weight)
        count = float(total.sum() ** 2 / np.sum(total**2)) if place.size else 0.0
        return cls(units.unit[place], weight, units.count, count)

    def resampled(self, n: int, generator: np.random.Generator) -> Floats:
        """Return weights of the excesses in n resamples of whole groups, (n, excesses)."""
        even = np.full(self.n_groups, 1 / self.n_groups)
        return np.asarray(generator.multinomial(self.n_groups, even, n)[:, self.unit] * self.weight)


@dataclass(frozen=True)
class ParetoTail:
    """P(score > start + x) = share * (1 + shape * x / scale) ** (-1 / shape).

    ``fit_p`` is the share of tails drawn from this fit that fit worse than the data; below 0.05 =
    poor fit.
    """

    start: float
    share: float  # of scores above the start; with groups the mean of the groups' shares
    shape: float  # above 0: heavier than exponential; below 0: the tail ends
    scale: float
    fit_p: float
    excess: Floats  # (n,), sorted: what was fitted
    groups: TailGroups | None = None

    def score_at(self, rate: float) -> float:
        """Return the score exceeded with this probability, which is below ``share``."""
        log_ratio = np.log(self.share / rate)
        if abs(self.shape) < 1e-9:
            return float(self.start + self.scale * log_ratio)
        return float(self.start + self.scale * np.expm1(self.shape * log_ratio) / self.shape)

    def fpr_interval(self, score: float, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of the probability to exceed a score in the tail.

        Normal on the logarithmic scale, with the bootstrap's standard error, because rates are
        skewed: percentiles of the bootstrap hold the true rate of a known tail 76 to 89 times in
        100, this interval 95 to 99 times.
        """
        share, shape, scale = self._refitted(np.random.default_rng(0))
        rates = share * _survival(np.asarray(score - self.start), shape, scale)
        rate = self.share * _survival(np.asarray(score - self.start), *self._law)
        spread = np.log(np.maximum(rates, _LEAST_RATE * rate)).std()
        factor = np.exp(stats.norm.ppf((1 + level) / 2) * spread)
        return float(rate / factor), float(min(rate * factor, self.share))

    @property
    def _law(self) -> tuple[Floats, Floats]:
        return np.asarray(self.shape), np.asarray(self.scale)

    def _refitted(self, generator: np.random.Generator) -> tuple[Floats, ...]:
        """Return share, shape and scale of resampled tails, each of shape (R,)."""
        n = self.excess.size
        if self.groups is None:
            drawn = np.sort(self.excess[generator.integers(0, n, (_N_RESAMPLES, n))], axis=1)
            total = round(n / self.share)
            return generator.binomial(total, self.share, _N_RESAMPLES) / total, *moments_fit(drawn)
        weights = self.groups.resampled(_N_RESAMPLES, generator)
        weights = weights[weights.sum(axis=1) > 0]
        fits = moments_fit(self.excess, weights, self.groups.count)
        return weights.sum(axis=1) / self.groups.n_groups, *fits

    def describe(self) -> str:
        """Say how far the tail can be trusted."""
        verdict = "fits" if self.fit_p >= 0.05 else "does NOT fit: do not rely on this rate"
        of = ""
        if self.groups is not None:
            held = np.unique(self.groups.unit).size
            of = (
                f" in {held} of {self.groups.n_groups} groups, worth {self.groups.count:.0f} "
                "independent scores"
            )
        return (
            f"Tail of {self.excess.size} scores above {self.start:.4g}{of}: shape "
            f"{self.shape:.3g}, scale {self.scale:.3g}; it {verdict} "
            f"(goodness-of-fit p = {self.fit_p:.2g})."
        )


def fit_tail(
    scores: Floats, tail_share: float = 0.1, groups: ArrayLike | None = None
) -> ParetoTail:
    """Fit a generalised Pareto tail to the largest ``tail_share`` of the scores.

    With groups every group weighs the same, and the tail is that of an item of a new group.

    Raises
    ------
    CalibrationError
        If fewer than 25 distinct-enough scores form the tail, or they are worth fewer than 25
        groups.

    References
    ----------
    Hosking and Wallis, Parameter and quantile estimation for the generalized Pareto distribution,
    Technometrics 1987. Goodness of fit by parametric bootstrap (Stute et al. 1993).
    """
    units = None if groups is None else calibration_units(scores.size, groups)
    start = _start(scores, tail_share, units)
    place = np.flatnonzero(scores > start)
    place = place[np.argsort(scores[place], kind="stable")]
    excess = scores[place] - start
    tail_groups = None if units is None else TailGroups.of(units, place)
    _require_tail(excess.size, scores.size, tail_groups)
    if tail_groups is None:
        shape, scale = moments_fit(excess)
        observed, n, share = _distance(excess, shape, scale), excess.size, excess.size / scores.size
    else:
        shape, scale = moments_fit(excess, tail_groups.weight, tail_groups.count)
        observed = _weighted_distance(excess, shape, scale, tail_groups.weight)
        n, share = round(tail_groups.count), float(tail_groups.weight.sum()) / tail_groups.n_groups
    fit_p = _fit_p(observed, n, shape, scale)
    return ParetoTail(start, share, float(shape), float(scale), fit_p, excess, tail_groups)


def _start(scores: Floats, tail_share: float, units: CalibrationUnits | None) -> float:
    if units is None:
        return float(np.quantile(scores, 1 - tail_share, method="inverted_cdf"))
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(units.share[order]) / units.share.sum()
    return float(scores[order][np.searchsorted(reached, 1 - tail_share - 1e-12)])


def _fit_p(observed: Floats, n: int, shape: Floats, scale: Floats) -> float:
    """Return how often a tail of n independent scores drawn from the fit fits worse."""
    uniform = np.random.default_rng(0).random((_N_RESAMPLES, n))
    drawn = np.sort(np.expm1(-shape * np.log(uniform)) / shape * scale, axis=1)
    return float(np.mean(_distance(drawn, *moments_fit(drawn)) >= observed))


def _require_tail(n: int, n_scores: int, groups: TailGroups | None) -> None:
    if n < _MIN_EXCESSES:
        raise CalibrationError(
            f"A tail needs at least {number_of(_MIN_EXCESSES, 'score')} above its start; got {n} "
            f"of {n_scores}. Score more normal items or widen the tail."
        )
    if groups is not None and groups.count < _MIN_EXCESSES:
        raise CalibrationError(
            f"A tail needs scores of at least {number_of(_MIN_EXCESSES, 'group')} above its start; "
            f"got {n} scores of {number_of(np.unique(groups.unit).size, 'group')} (of "
            f"{groups.n_groups}), worth {groups.count:.0f}. Score normal items of more groups, or "
            "widen the tail."
        )
