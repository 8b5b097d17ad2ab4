"""What a rule's pick is worth on data it has not seen, and what mistakes cost.

A rule is a function from a `RankingCurve` to the index of the chosen point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import Interval, RankingCurve, grouped_interval, proportion_interval

Rule = Callable[[RankingCurve], int]

N_FOLDS = 5
_N_RESAMPLES = 400


def nested_flags(
    rule: Rule,
    labels: Bools,
    scores: Floats,
    *,
    weights: Floats | None = None,
    groups: AnyArray | None = None,
    random_state: int = 0,
) -> Bools | None:
    """Flag every item at a threshold chosen without it.

    Parameters
    ----------
    labels : ndarray of shape (N,), bool
    scores : ndarray of shape (N,), float64, higher = more anomalous
    weights : ndarray of shape (N,), optional
        Item weights for the rule, for example costs.
    groups : ndarray of shape (N,), optional
        Items of one group are never on both sides.

    Returns
    -------
    flags : ndarray of shape (N,), bool, or None
        None where the labels cannot be divided (fewer than two groups of either class).
    """
    members = np.arange(labels.size) if groups is None else groups
    least = min(np.unique(members[labels]).size, np.unique(members[~labels]).size)
    if least < 2:
        return None
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    folds = splitter(min(N_FOLDS, least), shuffle=True, random_state=random_state)
    flags = np.zeros(labels.size, dtype=np.bool_)
    for train, test in folds.split(scores[:, None], labels, groups):
        if labels[train].all() or not labels[train].any():
            return None
        part = None if weights is None else weights[train]
        curve = RankingCurve.of(labels[train], scores[train], part)
        try:
            flags[test] = scores[test] > curve.value[rule(curve)]
        except CalibrationError:
            return None
    return flags


@dataclass(frozen=True)
class Pick:
    """A point that a rule picked, and how it flags items that did not pick it.

    Parameters
    ----------
    value : float
        Flag when ``score > value``.
    flags : ndarray of shape (N,), bool, optional
        As `nested_flags`.
    """

    value: float
    flags: Bools | None

    @property
    def folds(self) -> int:
        """How often it was picked without the items that it is judged by; 0 = never."""
        return 0 if self.flags is None else N_FOLDS

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
    """Pick a point of all items, and again without each fold of them; as `nested_flags`."""
    curve = RankingCurve.of(labels, scores, weights)
    value = float(curve.value[rule(curve)])
    return Pick(
        value,
        nested_flags(
            rule, labels, scores, weights=weights, groups=groups, random_state=random_state
        ),
    )


@dataclass(frozen=True)
class FlagQuality:
    """What a set of flags is worth against labels; None where nothing can be said."""

    fpr: Interval
    recall: Interval
    precision: Interval | None
    cost: Interval | None


def flag_quality(
    flags: Bools,
    labels: Bools,
    *,
    weights: Floats | None = None,
    groups: AnyArray | None = None,
    level: float = 0.95,
    random_state: int = 0,
) -> FlagQuality:
    """Measure flags against labels, with intervals.

    Parameters
    ----------
    flags, labels : ndarray of shape (N,), bool
    weights : ndarray of shape (N,), optional
        Cost of a mistake on each item; gives the cost per item.
    groups : ndarray of shape (N,), optional
        Intervals for new groups: `grouped_interval`, and of the cost by resampling whole groups;
        without, exact binomial ones.
    level : float in (0, 1)
    """

    def ratio(part: Floats | Bools, of: Bools) -> Interval:
        return _resampled_ratio(part, of, groups, level, random_state)

    def share(hit: Bools, of: Bools) -> Interval:
        if groups is not None:
            return grouped_interval(hit, of, groups, level)
        return proportion_interval(float(hit.sum()), float(of.sum()), level)

    everything = np.ones_like(labels)
    return FlagQuality(
        fpr=share(flags & ~labels, ~labels),
        recall=share(flags & labels, labels),
        precision=share(flags & labels, flags) if flags.any() else None,
        cost=None if weights is None else ratio(weights * (flags != labels), everything),
    )


def _resampled_ratio(
    part: Floats | Bools,
    of: Bools,
    groups: AnyArray | None,
    level: float,
    random_state: int,
) -> Interval:
    """Return sum(part) / sum(of) and its interval from resampled groups (or single items)."""
    unit = np.arange(of.size) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.stack([np.bincount(unit, part), np.bincount(unit, of)], axis=1)  # (K, 2)
    kinds, count = np.unique(sums, axis=0, return_counts=True)  # equal units are drawn as one kind
    generator = np.random.default_rng(random_state)
    drawn = generator.multinomial(len(sums), count / len(sums), _N_RESAMPLES) @ kinds  # (R, 2)
    drawn = drawn[drawn[:, 1] > 0]
    return _percentiles(float(part.sum() / of.sum()), drawn[:, 0] / drawn[:, 1], level)


def _percentiles(estimate: float, draws: Floats, level: float) -> Interval:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level)


def checked_costs(
    cost_fp: float, cost_fn: float, labels: Bools, amounts: ArrayLike | None = None
) -> Floats:
    """Return what a mistake on each item costs.

    Parameters
    ----------
    cost_fp, cost_fn : float >= 0
        Of a false alarm, and of a miss (per unit of amount).
    labels : ndarray of shape (N,), bool
    amounts : array-like of shape (N,), optional

    Returns
    -------
    costs : ndarray of shape (N,), float64

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
            f"Each of {n} items needs an amount of 0 or more; got {stake.size} amounts, "
            f"{int(np.sum(~(stake >= 0)))} of them negative or missing. Clean the column."
        )
    return stake
