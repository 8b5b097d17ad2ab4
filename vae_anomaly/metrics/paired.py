"""Two rankings of the same items: by how much the second is better, with an interval.

Both judge every item, so what makes an item hard is taken out of the difference: its interval is
often much narrower than those of the two figures.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from scipy import stats

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.metrics.curves import Ranking, RankingCurve
from vae_anomaly.metrics.intervals import Interval

_N_RESAMPLES = 1000
_MANY = 20_000  # items from which fewer resamples are drawn
_N_OF_MANY = 200


def rate_difference(
    first: Bools, second: Bools, groups: AnyArray | None = None, level: float = 0.95
) -> Interval:
    """Return by how much the share of flags rises from one judgement of N items to another.

    Parameters
    ----------
    first, second : ndarray of shape (N,), bool
        Flags of the same items.
    groups : ndarray of shape (N,), optional
        Items of one group are not independent.
    level : float in (0, 1)

    Returns
    -------
    difference : Interval in [-1, 1]
        NaN with the interval [-1, 1] where there is no item. It does not collapse where the two
        agree on all: half an item is added to each of the four outcomes.

    References
    ----------
    Agresti and Min, Simple improved confidence intervals for comparing matched proportions,
    Statistics in Medicine 24, 2005.
    """
    if first.size == 0:
        return Interval(float("nan"), -1.0, 1.0, level)
    change = second.astype(np.float64) - first.astype(np.float64)
    estimate = float(change.mean())
    if groups is None:
        n, more, less = float(change.size), float(np.sum(change > 0)), float(np.sum(change < 0))
        centre, half = _agresti_min(n, more, less, level)
    else:
        centre, half = _of_groups(change, groups, level)
    low, high = max(centre - half, -1.0), min(centre + half, 1.0)
    return Interval(estimate, min(low, estimate), max(high, estimate), level)


def _agresti_min(n: float, more: float, less: float, level: float) -> tuple[float, float]:
    """Return centre and half width, with half an item added to each outcome."""
    n, more, less = n + 2.0, more + 0.5, less + 0.5
    spread = sqrt(max(more + less - (more - less) ** 2 / n, 0.0)) / n
    return (more - less) / n, float(stats.norm.ppf((1 + level) / 2)) * spread


def _of_groups(change: Floats, groups: AnyArray, level: float) -> tuple[float, float]:
    """Return the same of a ratio of sums over groups; of agreeing groups, as if each were one."""
    unit = np.unique(groups, return_inverse=True)[1].reshape(-1)
    total, size = np.bincount(unit, change), np.bincount(unit).astype(np.float64)
    n_groups, estimate = size.size, float(change.mean())
    if n_groups < 2:
        return estimate, 2.0
    rest = total - estimate * size
    spread = sqrt(n_groups / (n_groups - 1) * float(rest @ rest)) / float(size.sum())
    half = float(stats.t.ppf((1 + level) / 2, n_groups - 1)) * spread
    return estimate, max(half, _agresti_min(float(n_groups), 0.0, 0.0, level)[1])


def auroc_difference(
    labels: Bools,
    first: Floats,
    second: Floats,
    groups: AnyArray | None = None,
    level: float = 0.95,
) -> Interval:
    """Return by how much the AUROC rises from one score of the same items to another.

    Parameters
    ----------
    labels : ndarray of shape (N,), bool
        True = anomaly; both classes.
    first, second : ndarray of shape (N,), float64, finite
        Higher = more anomalous.
    groups : ndarray of shape (N,), optional
        With groups the interval is that of `bootstrap_difference`, without the one of DeLong.
    level : float in (0, 1)

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more correlated receiver
    operating characteristic curves, Biometrics 44, 1988; Sun and Xu, IEEE Signal Processing
    Letters 21, 2014 (by ranks).
    """
    if groups is not None:
        return bootstrap_difference(RankingCurve.auroc, labels, first, second, groups, level)
    parts = [_components(labels, one) for one in (first, second)]
    of_anomalies, of_normals = (parts[1][k] - parts[0][k] for k in (0, 1))
    estimate = float(of_anomalies.mean())
    variance = sum(float(np.var(one, ddof=1)) / one.size for one in (of_anomalies, of_normals)
                   if one.size > 1)  # fmt: skip
    half = float(stats.norm.ppf((1 + level) / 2)) * sqrt(variance)
    return Interval(estimate, max(estimate - half, -1.0), min(estimate + half, 1.0), level)


def _components(labels: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """Return each anomaly's share of normals below it, and each normal's share of those above."""
    normal, odd = scores[~labels], scores[labels]
    ranks = stats.rankdata(np.concatenate([odd, normal]))
    below = (ranks[: odd.size] - stats.rankdata(odd)) / normal.size
    above = 1.0 - (ranks[odd.size :] - stats.rankdata(normal)) / odd.size
    return np.asarray(below), np.asarray(above)


def bootstrap_difference(
    metric: Callable[[RankingCurve], float],
    labels: Bools,
    first: Floats,
    second: Floats,
    groups: AnyArray | None = None,
    level: float = 0.95,
    random_state: int = 0,
) -> Interval:
    """Return by how much a ranking metric rises, by a bootstrap that draws the items of both.

    Normals and anomalies are drawn apart, whole groups together; draws with one class only are
    passed over.
    """
    rankings = [Ranking.of(labels, one) for one in (first, second)]
    estimate = metric(rankings[1].curve()) - metric(rankings[0].curve())
    generator = np.random.default_rng(random_state)
    unit = None if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    draws = []
    for _ in range(_N_OF_MANY if labels.size > _MANY else _N_RESAMPLES):
        weights = _weights(labels, unit, generator)
        curves = [ranking.curve(weights) for ranking in rankings]
        if curves[0].tp[-1] > 0 and curves[0].fp[-1] > 0:
            draws.append(metric(curves[1]) - metric(curves[0]))
    if not draws:
        return Interval(estimate, -1.0, 1.0, level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level)


def _weights(labels: Bools, unit: AnyArray | None, generator: np.random.Generator) -> Floats:
    """Return how often each item is drawn, (N,)."""
    if unit is not None:
        n = int(unit.max()) + 1
        return np.bincount(generator.integers(0, n, n), minlength=n)[unit].astype(np.float64)
    weights = np.zeros(labels.size)
    for part in (labels, ~labels):
        n = int(part.sum())
        weights[part] = np.bincount(generator.integers(0, n, n), minlength=n)
    return weights
