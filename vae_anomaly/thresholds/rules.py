"""What a rule's pick is worth on data it has not seen, and what mistakes cost.

A rule is a function from a `RankingCurve` to the index of the chosen point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import Interval, RankingCurve, grouped_interval, proportion_interval
from vae_anomaly.words import number_of

Rule = Callable[[RankingCurve], int]

_N_FOLDS = 5
TWO_SIDED = ((1 - 0.95) / 2, (1 + 0.95) / 2)
"""Quantiles at the ends of an interval of 95 %."""
_N_RESAMPLES = 400


@dataclass(frozen=True)
class Pick:
    """A point that a rule picked, and how it flags items that did not pick it.

    Parameters
    ----------
    value : float
        Flag when ``score > value``.
    flags : ndarray of shape (N,), bool, optional
        None where the labels cannot be divided (fewer than two groups of either class).
    """

    value: float
    flags: Bools | None

    @property
    def folds(self) -> int:
        """How often it was picked without the items that it is judged by; 0 = never."""
        return 0 if self.flags is None else _N_FOLDS

    def describe(self, noun: str) -> str:
        """Say which items its figures are from; the noun is what there may be too few of."""
        if self.flags is not None:
            return "Figures are from items that did not choose the threshold (5-fold)."
        return f"Too few {noun} to divide: figures are from the items that chose it (optimistic)."


def pick(
    rule: Rule,
    labels: Bools,
    scores: Floats,
    *,
    weights: Floats | None = None,
    groups: AnyArray | None = None,
    random_state: int = 0,
) -> Pick:
    """Pick a point of all N items, and again without each fold of them.

    Weights are of the items, for example costs; items of one group are never on both sides.
    """

    def bound(places: Ints) -> float:
        part = None if weights is None else weights[places]
        curve = RankingCurve.of(labels[places], scores[places], part)
        return float(curve.value[rule(curve)])

    value = bound(np.arange(labels.size))
    members = np.arange(labels.size) if groups is None else groups
    least = min(np.unique(members[labels]).size, np.unique(members[~labels]).size)
    if least < 2:
        return Pick(value, None)
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = splitter(min(_N_FOLDS, least), shuffle=True, random_state=random_state)
    flags = np.zeros(labels.size, dtype=np.bool_)
    for train, test in folds.split(scores[:, None], labels, groups):
        if labels[train].all() or not labels[train].any():
            return Pick(value, None)
        try:
            flags[test] = scores[test] > bound(train)
        except CalibrationError:
            return Pick(value, None)
    return Pick(value, flags)


@dataclass(frozen=True)
class FlagQuality:
    """What a set of flags is worth, the cost per item; None where nothing can be said."""

    fpr: Interval
    recall: Interval | None
    precision: Interval | None
    cost: Interval | None

    def expected(self) -> dict[str, Interval | None]:
        """Return the figures by the names that a threshold has for them."""
        return {f"expected_{name}": figure for name, figure in vars(self).items()}


def flag_quality(
    flags: Bools,
    labels: Bools,
    *,
    weights: Floats | None = None,
    groups: AnyArray | None = None,
    random_state: int = 0,
) -> FlagQuality:
    """Measure flags against labels of N items, with intervals of 95 %.

    Weights are what a mistake on each item costs. Intervals are exact binomial ones; with groups
    those for new groups: `grouped_interval`, and of the cost by resampling whole groups.
    """
    return FlagQuality(
        fpr=share_of(~labels, flags, groups),
        recall=share_of(labels, flags, groups),
        precision=share_of(flags, labels, groups) if flags.any() else None,
        cost=None
        if weights is None
        else _resampled_mean(weights * (flags != labels), groups, random_state),
    )


def share_of(items: Bools, hit: Bools, groups: AnyArray | None) -> Interval:
    """Return the share of some items that are hit: exact, or for new groups."""
    if groups is not None:
        return grouped_interval(hit & items, items, groups)
    return proportion_interval(float((hit & items).sum()), float(items.sum()))


def _resampled_mean(part: Floats, groups: AnyArray | None, random_state: int) -> Interval:
    """Return the mean of items and its interval from resampled groups (or single items)."""
    drawn = resampled_sums([part, np.ones(part.size)], groups, _N_RESAMPLES, random_state)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], TWO_SIDED)
    return Interval(float(part.sum() / part.size), float(low), float(high))


def resampled_sums(
    parts: Sequence[AnyArray], groups: AnyArray | None, n: int, random_state: int
) -> Floats:
    """Return sums of each of P parts, (N,), over n resamples of groups or items, shape (n, P)."""
    unit = np.arange(len(parts[0])) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.stack([np.bincount(unit, part) for part in parts], axis=1)  # (K, P)
    kinds, count = np.unique(sums, axis=0, return_counts=True)  # equal units are drawn as one kind
    times = np.random.default_rng(random_state).multinomial(len(sums), count / len(sums), n)
    return np.asarray(times @ kinds, dtype=np.float64)


def checked_costs(
    cost_fp: float, cost_fn: float, labels: Bools, amounts: ArrayLike | None = None
) -> Floats:
    """Return what a mistake on each item costs, shape (N,).

    A false alarm costs ``cost_fp``, a miss ``cost_fn`` (per unit of amount).

    Raises
    ------
    ConfigError
        If a cost or an amount is negative or not finite, or both costs are 0.
    """
    if not (cost_fp >= 0 and cost_fn >= 0 and 0 < cost_fp + cost_fn < math.inf):
        raise ConfigError(
            f"Costs must be 0 or more and not both 0; got a false alarm at {cost_fp:g} and a "
            f"miss at {cost_fn:g}. Try --cost-fp 1 --cost-fn 50."
        )
    stake = np.ones(labels.size) if amounts is None else _checked_amounts(amounts, labels.size)
    return np.where(labels, cost_fn * stake, cost_fp)


def _checked_amounts(amounts: ArrayLike, n: int) -> Floats:
    stake = np.asarray(amounts, dtype=np.float64).reshape(-1)
    if stake.size != n or not np.isfinite(stake).all() or stake.min() < 0:
        raise ConfigError(
            f"Each of {number_of(n, 'item')} needs an amount of 0 or more; got {stake.size} "
            f"amounts, {int(np.sum(~(stake >= 0)))} of them negative or missing. Clean the column."
        )
    return stake
