"""An estimate with its interval, and the exact interval of a share of items or of groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vae_anomaly.arrays import AnyArray, Floats


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval around it.

    Parameters
    ----------
    estimate, low, high : float
        In the unit of the figure; ``low <= high``.
    level : float in (0, 1)
        Coverage of the interval.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def scaled(self, factor: float) -> Interval:
        """Multiply by a positive factor, for example a rate by a daily volume."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor, self.level)

    def __str__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


def proportion_interval(successes: float, total: float, level: float = 0.95) -> Interval:
    """Return a share with its exact (Clopper-Pearson) interval.

    Parameters
    ----------
    successes, total : float
        ``0 <= successes <= total``; with ``total = 0`` the interval is [0, 1].
    level : float in (0, 1)

    Returns
    -------
    interval : Interval in [0, 1]; the estimate is NaN for ``total = 0``

    References
    ----------
    Clopper and Pearson, The use of confidence or fiducial limits, 1934.
    """
    if total == 0:
        return Interval(float("nan"), 0.0, 1.0, level)
    a = (1 - level) / 2
    low = stats.beta.ppf(a, successes, total - successes + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1 - a, successes + 1, total - successes) if successes < total else 1.0
    return Interval(successes / total, float(low), float(high), level)


def grouped_interval(
    part: ArrayLike, of: ArrayLike, groups: AnyArray, level: float = 0.95
) -> Interval:
    """Return a share of items that come in groups, with an interval for new groups.

    Items of one group tell less than as many single ones. The interval is the exact one
    (Clopper-Pearson) of as many independent items as would scatter like these groups do. It does
    not collapse where no item, or every item, is counted; resampled groups would.

    Parameters
    ----------
    part, of : array-like of shape (N,)
        The share is ``sum(part) / sum(of)``, with 0 <= part <= of.
    groups : ndarray of shape (N,)
    level : float in (0, 1)

    Returns
    -------
    interval : Interval in [0, 1]
        [0, 1] where fewer than two groups take part: one says nothing about others.

    References
    ----------
    Korn and Graubard, Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data, Survey Methodology 24, 1998.

    Examples
    --------
    >>> single = proportion_interval(2, 40)
    >>> copied = grouped_interval([1] * 10 + [0] * 190, [1] * 200, np.repeat(np.arange(40), 5))
    >>> round(single.high, 2), round(copied.high, 2)
    (0.17, 0.17)
    """
    hits, all_ = _by_group(part, of, groups)
    share = float(hits.sum() / all_.sum()) if all_.size else float("nan")
    if all_.size < 2:
        return Interval(share, 0.0, 1.0, level)
    n = effective_items(part, of, groups, level)
    exact = proportion_interval(share * n, n, level)
    return Interval(share, exact.low, exact.high, level)


def effective_items(part: ArrayLike, of: ArrayLike, groups: AnyArray, level: float = 0.95) -> float:
    """Return how many independent items would tell a share as surely as these groups do.

    Parameters
    ----------
    part, of, groups, level
        As for `grouped_interval`; at least two groups.

    Returns
    -------
    n : float
        About the number of groups where all items of a group agree, the number of items where
        they do not know of each other; less with few groups, whose scatter is not well known.
    """
    hits, all_ = _by_group(part, of, groups)
    n_items, n_groups = int(np.count_nonzero(np.asarray(of))), all_.size
    share = hits.sum() / all_.sum()
    variance = np.sum((hits - share * all_) ** 2) / all_.sum() ** 2
    unanimous = all_.sum() ** 2 / np.sum(all_**2)  # as if groups were items (Kish 1965)
    n = min(share * (1 - share) / variance, n_items) if variance > 0 else unanimous
    tail, wider = (stats.t.ppf((1 + level) / 2, many - 1) for many in (n_items, n_groups))
    return float(n * (tail / wider) ** 2)


def _by_group(part: ArrayLike, of: ArrayLike, groups: AnyArray) -> tuple[Floats, Floats]:
    """Return the sums of each group that takes part, each of shape (K,)."""
    unit = np.unique(groups, return_inverse=True)[1].reshape(-1)
    hits, all_ = (
        np.asarray(np.bincount(unit, np.asarray(values, dtype=np.float64)), dtype=np.float64)
        for values in (part, of)
    )
    return hits[all_ > 0], all_[all_ > 0]
