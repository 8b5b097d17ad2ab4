"""Rules that pick a point of a ranking curve, and what a pick is worth on data it has not seen.

A rule is a function from a `RankingCurve` to the index of the chosen point. Where two points are
equally good, the one with fewer flags is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import Interval, RankingCurve, grouped_interval, proportion_interval

Rule = Callable[[RankingCurve], int]

N_FOLDS = 5
NESTED_NOTE = "Figures are from items that did not choose the threshold (5-fold)."
LABEL_POLICIES = frozenset({"f_beta", "youden", "cost", "min_precision", "min_recall"})
_N_RESAMPLES = 400


def best_f_beta(beta: float = 1.0) -> Rule:
    """Pick the largest F-beta; beta > 1 weighs recall more than precision.

    Parameters
    ----------
    beta : float > 0

    Returns
    -------
    rule : Rule

    Raises
    ------
    ConfigError
        If beta is not positive.

    References
    ----------
    van Rijsbergen, Information Retrieval, 1979.
    """
    if not beta > 0:
        raise ConfigError(f"The beta of F-beta must be greater than 0; got {beta:g}. Try 1.")

    def rule(curve: RankingCurve) -> int:
        missed = curve.tp[-1] - curve.tp
        gain = (1 + beta**2) * curve.tp
        return int(np.argmax(gain / (gain + beta**2 * missed + curve.fp)))

    return rule


def least_cost(curve: RankingCurve) -> int:
    """Pick the lowest total cost; the curve's weights are what a miss and a false alarm cost."""
    return int(np.argmin((curve.tp[-1] - curve.tp) + curve.fp))


def youden(curve: RankingCurve) -> int:
    """Pick the largest recall minus false-positive rate (Youden, 1950)."""
    return int(np.argmax(curve.tpr - curve.fpr))


def most_recall_at_precision(precision: float) -> Rule:
    """Pick the most recall whose precision is at least this.

    Parameters
    ----------
    precision : float in (0, 1]

    Returns
    -------
    rule : Rule
        Raises CalibrationError where no point is precise enough.
    """

    def rule(curve: RankingCurve) -> int:
        precise = np.flatnonzero((curve.precision >= precision) & (curve.tp > 0))
        if precise.size == 0:
            best = float(curve.precision[curve.tp > 0].max())
            raise CalibrationError(
                f"No threshold reaches a precision of {precision:g}; the best is {best:.3g}. "
                "Ask for less, or improve the detector."
            )
        return int(precise[-1])

    return rule


def recall_at_least(recall: float) -> Rule:
    """Pick the fewest flags that find at least this share of the anomalies.

    Parameters
    ----------
    recall : float in (0, 1]

    Returns
    -------
    rule : Rule
    """

    def rule(curve: RankingCurve) -> int:
        return int(np.argmax(curve.tpr >= recall - 1e-12))

    return rule


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
    rule : Rule
    labels : ndarray of shape (N,), bool
    scores : ndarray of shape (N,), float64, higher = more anomalous
    weights : ndarray of shape (N,), optional
        Item weights for the rule, for example costs.
    groups : ndarray of shape (N,), optional
        Items of one group are never on both sides.
    random_state : int

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
    random_state : int

    Returns
    -------
    quality : FlagQuality
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


def label_rule(
    policy: str, target: float | None
) -> tuple[str, Rule, dict[str, int | float | str | None]]:
    """Read the name of a policy with labels: its name, its rule and what it was asked for.

    Raises
    ------
    ConfigError
        If there is no such policy, or its target is missing.
    """
    targeted: dict[str, Callable[[float], Rule]] = {
        "min_precision": most_recall_at_precision,
        "min_recall": recall_at_least,
    }
    if policy in targeted:
        if target is None or not 0 < target <= 1:
            raise ConfigError(f"Policy {policy!r} needs a target in (0, 1]; got {target}. Try 0.9.")
        return policy, targeted[policy](target), {policy: target}
    if policy == "youden":
        return policy, youden, {}
    try:
        beta = float(policy.removeprefix("f"))
    except ValueError:
        known = "f1, f2, f0.5, youden, min_precision, min_recall"
        raise ConfigError(f"There is no policy {policy!r}. Choose one of: {known}.") from None
    return "f_beta", best_f_beta(beta), {"beta": beta}
