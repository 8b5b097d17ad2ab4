"""How alike two rankings of the same items are: over all, and at the top, where items are read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from vae_anomaly.arrays import AnyArray, Floats, Ints
from vae_anomaly.metrics.intervals import Interval


def rank_correlation(a: Floats, b: Floats, level: float = 0.95) -> Interval:
    """Return Spearman's rank correlation of two scores of the same items, with its interval.

    Parameters
    ----------
    a, b : ndarray of shape (N,), higher = more anomalous
        Equal scores share the mean of their ranks.
    level : float in (0, 1)

    Returns
    -------
    correlation : Interval in [-1, 1]
        NaN in [-1, 1] where there is none: fewer than two items, or all scores of one side equal.

    References
    ----------
    Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations, 2000: Fisher's z has the variance (1 + r^2 / 2) / (N - 3).
    """
    if len(a) < 2 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return Interval(float("nan"), -1.0, 1.0, level)
    rho = float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])
    rho = min(1.0, max(-1.0, rho))
    if len(a) <= 3 or abs(rho) > 1.0 - 1e-12:
        alike = len(a) > 3
        return Interval(rho, rho if alike else -1.0, rho if alike else 1.0, level)
    spread = stats.norm.ppf(0.5 + level / 2) * np.sqrt((1.0 + rho**2 / 2) / (len(a) - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-spread, spread]))
    return Interval(rho, float(low), float(high), level)


def places(scores: Floats, ties: AnyArray) -> Ints:
    """Return the place of each item (N,), 1 for the highest score; equal ones by ``ties``, rising.

    Examples
    --------
    >>> places(np.array([0.5, 2.0, 0.5]), np.array([9, 1, 3])).tolist()
    [3, 1, 2]
    """
    order = np.lexsort((ties, -scores))
    found = np.empty(len(scores), dtype=np.int64)
    found[order] = np.arange(1, len(scores) + 1)
    return found


def shared_at_top(a: Ints, b: Ints, sizes: Sequence[int]) -> list[int]:
    """Return how many of the first ``k`` of one ranking are among the first ``k`` of the other.

    Parameters
    ----------
    a, b : ndarray of shape (N,)
        Places of the same items, as `places` gives them.
    sizes : sequence of int
        Each k.
    """
    later = np.maximum(a, b)  # the k from which on both have the item
    return [int(np.count_nonzero(later <= k)) for k in sizes]
