"""How far two samples lie apart, told from counts: population stability and two-sample tests.

Counts are enough: they add up over partitions, and hold no row. A test of binned values finds less
than one of the values themselves, and never more: its false-alarm rate stays below the stated one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vae_anomaly.arrays import Floats, Ints

N_CELLS = 10
_MANY = 100_000  # items
_FISHER = 1e7  # items, up to which Fisher's exact test is quick
MIN_EXPECTED = 5.0  # in a cell of a chi-square test (Cochran 1954)


def population_stability(before: ArrayLike, now: ArrayLike) -> float:
    """Return the population stability index of two rows of counts over the same cells.

    Parameters
    ----------
    before, now : array-like of shape (B,), non-negative
        Half an item is added to each cell, so that an empty one gives no infinite index.

    Returns
    -------
    psi : float, >= 0
        ``sum((q - p) * ln(q / p))``: 0 where shares agree, 0.1 a moderate and 0.25 a large change
        by custom; of normals that differ by d standard deviations about d^2. NaN without items.

    References
    ----------
    Siddiqi, Credit Risk Scorecards, 2006; Jeffreys, An invariant form for the prior probability in
    estimation problems, 1946.

    Examples
    --------
    >>> round(population_stability([500, 500], [500, 500]), 3)
    0.0
    >>> round(population_stability([500, 500], [900, 100]), 2)
    0.88
    """
    old, new = (np.asarray(counts, dtype=np.float64) for counts in (before, now))
    if not old.sum() or not new.sum():
        return float("nan")
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * counts.size) for counts in (old, new))
    return float(np.sum((q - p) * np.log(q / p)))


def merged_cells(before: ArrayLike, most: int = N_CELLS) -> Ints:
    """Return which of at most so many cells each bin joins, (B,): of about equal shares before.

    Examples
    --------
    >>> merged_cells([10, 10, 10, 10], 2).tolist()
    [0, 0, 1, 1]
    """
    counts = np.asarray(before, dtype=np.float64)
    below = np.cumsum(counts) - counts / 2  # up to the middle of each bin
    cells = np.floor(below / max(float(counts.sum()), 1.0) * most).astype(np.int64)
    return np.unique(cells.clip(0, most - 1), return_inverse=True)[1].reshape(-1).astype(np.int64)


def added_up(counts: ArrayLike, cells: Ints) -> Ints:
    """Return the counts of joined cells."""
    summed = np.bincount(cells, np.asarray(counts, dtype=np.float64), minlength=cells.max() + 1)
    return np.asarray(summed, dtype=np.int64)


def kolmogorov_smirnov(before: ArrayLike, now: ArrayLike, worth: float | None = None) -> Floats:
    """Test whether two rows of counts over ordered bins are of one distribution.

    Parameters
    ----------
    before, now : array-like of shape (B,)
    worth : float, optional
        How many independent items ``before`` stands for, where items of one group do not count
        alone. Default: its sum.

    Returns
    -------
    distance, p_value : ndarray of shape (2,)
        The largest distance of the distribution functions, at the ends of bins, and the share of
        pairs of samples of one distribution that lie at least as far apart. The two samples are
        both taken as finite. Distance 0 and p-value 1 where a sample is empty.

    References
    ----------
    Stephens, Use of the Kolmogorov-Smirnov statistics without extensive tables, 1970.
    """
    old, new = (np.asarray(counts, dtype=np.float64) for counts in (before, now))
    if not old.sum() or not new.sum():
        return np.array([0.0, 1.0])
    distance = float(np.max(np.abs(np.cumsum(old) / old.sum() - np.cumsum(new) / new.sum())))
    n, m = worth or old.sum(), new.sum()
    root = np.sqrt(n * m / (n + m))
    p_value = float(stats.kstwobign.sf(distance * (root + 0.12 + 0.11 / root)))
    return np.array([distance, min(1.0, p_value)])


def chi_square(before: ArrayLike, now: ArrayLike) -> float:
    """Return the p-value of the test that two rows of counts have the same shares.

    Cells of which fewer than five items are expected are joined. 1 where nothing is left to test.
    """
    table = np.asarray([before, now], dtype=np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or np.any(table.sum(axis=1) == 0):
        return 1.0
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    small = expected < MIN_EXPECTED
    if np.sum(small) > 1:
        table = np.column_stack([table[:, ~small], table[:, small].sum(axis=1)])
    if table.shape[1] < 2:
        return 1.0
    if table.shape[1] == 2 and table.sum() > _FISHER:
        return _of_two_shares(table, float(expected.min()))
    if table.shape[1] == 2:
        return float(stats.fisher_exact(table.astype(np.int64)).pvalue)
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def _of_two_shares(table: Floats, least: float) -> float:
    """Test two shares of so many items that Fisher's test takes minutes.

    Where one of the two is rare, its items fall into the rows as the rows are large.
    """
    if least >= MIN_EXPECTED:
        return float(stats.chi2_contingency(table, correction=False).pvalue)
    rare = table[:, np.argmin(table.sum(axis=0))]
    share = table[1].sum() / table.sum()
    return float(stats.binomtest(int(rare[1]), int(rare.sum()), share).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm, in their order.

    Whatever depends on what among them: the chance that any of the true hypotheses has a corrected
    p-value of at most ``a`` is at most ``a``.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, 1979.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    m, corrected, highest = len(p_values), [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (m - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def excess_flags(flagged: int, n: int, above: float, held_out: float) -> float:
    """Return how likely so many flags or more are, of normal items alone.

    The share of normals above a bound is not known: ``above`` of ``held_out`` calibrating normals
    lay there. So the number of flags is beta-binomial, Beta(above + 1, held_out - above), which is
    wider than the binomial law of a known share.

    References
    ----------
    Vovk, Conditional validity of inductive conformal predictors, 2012.

    Examples
    --------
    >>> round(excess_flags(10, 1000, 9, 999), 2), round(excess_flags(40, 1000, 9, 999), 5)
    (0.5, 0.0)
    """
    if n > _MANY:
        return float(_share_law(n, above, held_out).sf((flagged - 0.5) / n))
    return float(stats.betabinom(n, *_beta(above, held_out)).sf(flagged - 1))


def flag_range(n: int, above: float, held_out: float, level: float) -> tuple[int, int]:
    """Return how many of n normal items are flagged in ``level`` of all nights, from and to."""
    ends = (1 - level) / 2, (1 + level) / 2
    if n > _MANY:
        law = _share_law(n, above, held_out)
        low, high = (float(law.ppf(end)) * n for end in ends)
        return int(low), min(n, int(high) + 1)
    law = stats.betabinom(n, *_beta(above, held_out))
    return int(law.ppf(ends[0])), int(law.ppf(ends[1]))


def _beta(above: float, held_out: float) -> tuple[float, float]:
    return above + 1, max(held_out - above, 1e-9)


def _share_law(n: int, above: float, held_out: float) -> Any:
    """Return the Beta law with mean and variance of the share of flags among many items.

    The beta-binomial law is added up term by term, which takes half a minute for 100 million rows.
    """
    a, b = _beta(above, held_out)
    least = (a + b) * n / (a + b + n)  # as many held-out normals would scatter as far as both do
    return stats.beta(a * least / (a + b), b * least / (a + b))
