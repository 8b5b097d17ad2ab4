"""Bounds on the scores of normals that keep a promised false-positive rate, and how sure it is.

Split conformal: with n exchangeable normals, flagging only what lies above the k-th largest of
them, k = floor(fpr (n + 1)), flags a new normal with probability at most fpr. With groups every
group weighs 1 / (K + 1), which keeps the promise for an item of a new group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vae_anomaly.arrays import AnyArray, Bools, Floats, Indices
from vae_anomaly.errors import CalibrationError, ConfigError
from vae_anomaly.metrics import Interval, checked_scores, effective_items, proportion_interval
from vae_anomaly.thresholds.record import ThresholdRecord, data_hash


def smallest_fpr(n: int) -> float:
    """Return the smallest false-positive rate that n normals (or n groups) can promise."""
    return 1.0 / (n + 1)


@dataclass(frozen=True)
class CalibrationUnits:
    """What is exchangeable: single normals, or whole groups of them."""

    share: Floats  # (N,), weight of each normal; every unit weighs 1 / (count + 1)
    count: int  # of normals or of groups
    unit: Indices  # (N,), of each normal, from 0
    noun: str  # "scores" or "groups", for messages


def calibration_units(n: int, groups: ArrayLike | None) -> CalibrationUnits:
    """Return what n normals count for, alone or by group."""
    if groups is None:
        return CalibrationUnits(np.full(n, 1.0 / (n + 1)), n, np.arange(n), "scores")
    names = np.asarray(groups).reshape(-1)
    if names.size != n:
        raise CalibrationError(
            f"Each score needs one group; got {n} scores and {names.size} groups. "
            "Give groups in the order of the scores."
        )
    _, unit, sizes = np.unique(names, return_inverse=True, return_counts=True)
    return CalibrationUnits(1.0 / (sizes[unit] * (sizes.size + 1)), int(sizes.size), unit, "groups")


def conformal_bound(scores: Floats, fpr: float, units: CalibrationUnits) -> float:
    """Return the lowest score of the normals above which a new normal lies with at most ``fpr``.

    Raises
    ------
    CalibrationError
        If there are too few normals or groups for this rate.

    References
    ----------
    Lee, Barber and Willett, Distribution-free inference with hierarchical data, 2023.
    """
    unit = 1.0 / (units.count + 1)
    if fpr < unit * (1 - 1e-9):
        more = "more normal items" if units.noun == "scores" else "normal items of more groups"
        raise CalibrationError(
            f"A false-positive rate of {fpr:g} needs at least {math.ceil(1 / fpr - 1e-9) - 1} "
            f"normal {units.noun}; got {units.count}, which support {unit:.2g} at best. "
            f"Score {more}, raise the rate, or extrapolate with the tail policy."
        )
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    before = np.append(0.0, np.cumsum(units.share[order]))  # weight of the first 0, 1, ... N
    above = before[
        np.searchsorted(-falling, -falling, side="left")
    ]  # ties are not above each other
    return float(falling[above <= fpr - unit + 1e-12][-1])


def rate_above(scores: Floats, value: float, groups: ArrayLike | None = None) -> Interval:
    """Return the rate at which new normals exceed a bound.

    It is the mean over calibration sets, and its interval where the rate of this very bound lies:
    for the k-th largest of n continuous scores it follows Beta(k, n + 1 - k). A bound that lies
    between two of them was not read off these scores, and has the exact interval of the share above
    (Clopper and Pearson). With groups, which weigh the same, n is the number of independent items
    that would scatter like these groups.

    References
    ----------
    Vovk, Conditional validity of inductive conformal predictors, 2012. Groups: Korn and Graubard
    1998, as `vae_anomaly.metrics.grouped_interval`.
    """
    above = scores > value
    n, k = scores.size, int(above.sum()) + 1
    if groups is not None:
        return _group_rate(above, np.asarray(groups).reshape(-1))
    estimate = k / (n + 1)
    if np.sum(scores == value) != 1:  # ties, too: the true rate may be below that of the Beta law
        tied = proportion_interval(k - 1, n)
        return Interval(estimate, tied.low, max(tied.high, estimate))
    low, high = (stats.beta.ppf(q, k, n + 1 - k) for q in (0.025, 0.975))
    return Interval(estimate, float(low), float(high))


def _group_rate(above: Bools, groups: AnyArray) -> Interval:
    """Return the Beta law of `rate_above` of as many items as these groups are worth."""
    inverse = np.unique(groups, return_inverse=True)[1]
    each = 1.0 / np.bincount(inverse)[inverse]  # every group weighs 1
    share, count = float(np.sum(above * each) / each.sum()), float(each.sum())
    estimate = (share * count + 1) / (count + 1)
    if count < 2:
        return Interval(estimate, 0.0, 1.0)
    n = effective_items(above * each, each, inverse)
    low, high = (stats.beta.ppf(q, share * n + 1, n * (1 - share)) for q in (0.025, 0.975))
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate))


def varied_scores(scores: ArrayLike) -> Floats:
    """Return the scores of normals, or say why no threshold can be read from them."""
    s = checked_scores(scores, "normal scores")
    if s.size < 2:
        raise CalibrationError(
            f"A threshold needs at least 2 normal scores, and 99 for a rate of 1 %; got {s.size}. "
            "Score more normal items."
        )
    require_order(s, "normal scores")
    return s


def require_order(scores: Floats, noun: str = "scores") -> None:
    """Refuse several scores that are all the same."""
    if scores.size > 1 and scores.min() == scores.max():
        raise CalibrationError(
            f"All {scores.size} {noun} are equal ({scores[0]:g}): they give no order to cut. "
            "Look whether the items are all alike with: vae-anomaly data check"
        )


def check_rate(what: str, rate: float) -> None:
    """Refuse a rate outside (0, 1)."""
    if not 0 < rate < 1:
        raise ConfigError(f"The {what} must be between 0 and 1; got {rate:g}. Try 0.01.")


def record_of_normals(
    scores: Floats,
    value: float,
    policy: str,
    parameters: Mapping[str, int | float | str | None],
    groups: ArrayLike | None,
) -> ThresholdRecord:
    """Return a bound on the scores of normals, with the rate of new ones above it."""
    tied = int(np.sum(scores == value))
    stay = (
        f"{tied} normals share the score at the bound and stay unflagged: fewer alarms than asked."
    )
    return ThresholdRecord(
        value=value,
        policy=policy,
        parameters=dict(parameters),
        expected_fpr=rate_above(scores, value, groups),
        n_normals=scores.size,
        data_hash=data_hash(scores),
        note=stay if tied > 1 else "",
    )


def just_below(scores: Floats, n_flagged: int) -> float:
    """Return a bound above which at most n of the scores lie; never splits a tie."""
    falling = np.sort(scores)[::-1]
    if n_flagged >= falling.size:
        return float(np.nextafter(falling[-1], -np.inf))
    if n_flagged == 0 or falling[n_flagged - 1] == falling[n_flagged]:
        return float(falling[n_flagged])
    upper, lower = float(falling[n_flagged - 1]), float(falling[n_flagged])
    middle = lower + (upper - lower) / 2
    return middle if middle < upper else lower
