"""Choose a threshold by what the owner asks for, beside the others that one could have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.metrics import Interval, checked_labels, checked_scores
from vae_anomaly.thresholds.catalogue import DEFAULT, needs_labels, policy_of, policy_title
from vae_anomaly.thresholds.conformal import calibration_units, rate_above, smallest_fpr
from vae_anomaly.thresholds.interactive import ThresholdContext
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.policy import LabelPolicy, Policy, Request
from vae_anomaly.thresholds.record import PER_THOUSAND
from vae_anomaly.thresholds.reviews.sample import ReviewedSample, choose_from_reviews
from vae_anomaly.thresholds.rules import checked_costs
from vae_anomaly.thresholds.threshold import Threshold

_FIGURES = ("fpr", "alarms_per_day", "precision", "recall", "cost")
_UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Tuned:
    """A chosen threshold beside the ones that were not chosen.

    Parameters
    ----------
    table : DataFrame
        As `candidate_table`; ``alarms_per_day`` counts per ``volume`` items.
    volume : float
        Items a day; 1000 where none was given.
    words : str
        What the threshold means.
    """

    threshold: Threshold
    table: pd.DataFrame
    volume: float
    words: str


def tune(
    items: ScoredItems,
    numbers: Mapping[str, float],
    *,
    volume: float | None = None,
    current: Threshold | None = None,
    reviews: ReviewedSample | None = None,
) -> Tuned:
    """Choose a threshold.

    Parameters
    ----------
    items : ScoredItems
        Without labels all count as normal, for the policies that need normals.
    numbers : mapping of str to float
        What the owner asks for: the numbers of one policy of the catalogue by the names of its
        options, such as ``{"max_alarms_per_day": 20}``. Empty: a false-positive rate of 1 %.
    volume : float, optional
        Items a day.
    current : Threshold, optional
        The one in force; listed beside the others.
    reviews : ReviewedSample, optional
        Reviewers' verdicts on these items, instead of labels.

    Raises
    ------
    ConfigError
        If more than one thing is asked for, or labels are needed and there are none.
    CalibrationError
        If the scores cannot support what is asked for.
    """
    request = Request(dict(numbers) or DEFAULT, volume)
    policy = policy_of(request)
    if reviews is None:
        threshold = Threshold.of_policy(policy, items, request)
    else:
        threshold = _by_reviews(items, reviews, policy, request)
    if volume is not None:
        threshold = threshold.changed(parameters={**threshold.parameters, "volume": volume})
    return tuned_at(items, threshold, numbers, volume=volume, current=current, reviews=reviews)


def tuned_at(
    items: ScoredItems,
    threshold: Threshold,
    numbers: Mapping[str, float],
    *,
    volume: float | None = None,
    current: Threshold | None = None,
    reviews: ReviewedSample | None = None,
) -> Tuned:
    """Put a threshold beside the others that one could have; parameters as for `tune`."""
    context = threshold_context(items, numbers, volume=volume, reviews=reviews)
    if threshold.expected_recall is None and context.measure is not None:
        threshold = context.measure(threshold)
    now = [] if current is None else [Threshold(value=current.value, policy="in force")]
    day = volume or PER_THOUSAND
    table = candidate_table(
        items.scores if reviews is None else context.normals,
        items.labels if reviews is None else None,
        chosen=threshold,
        volume=day,
        groups=items.groups if reviews is None else context.groups,
        costs=_costs(items, numbers),
        others=now,
        measure=context.measure if reviews is not None else None,
    )
    same = (table["threshold"] == threshold.value) & ~table["chosen"]  # the chosen one says it
    return Tuned(threshold, table[~same].reset_index(drop=True), day, threshold.in_words(volume))


def threshold_context(
    items: ScoredItems,
    numbers: Mapping[str, float],
    *,
    volume: float | None = None,
    reviews: ReviewedSample | None = None,
) -> ThresholdContext:
    """Return what thresholds are measured on; parameters as for `tune`."""
    if reviews is not None:
        rest, sample = items.take(~reviews.confirmed), reviews
        prices = {name: numbers.get(name) for name in ("cost_fp", "cost_fn")}
        return ThresholdContext(
            items.scores,
            rest.scores,
            measure=lambda point: sample.measured(point, **prices),
            volume=volume,
            groups=rest.groups,
        )
    measure, y, costs = None, items.labels, _costs(items, numbers)
    if y is not None:

        def measure(point: Threshold) -> Threshold:
            return point.measured(items.scores, y, groups=items.groups, costs=costs)

    return ThresholdContext(
        items.scores, items.normals, measure=measure, volume=volume, groups=items.normal_groups
    )


def _costs(items: ScoredItems, numbers: Mapping[str, float]) -> Floats | None:
    if items.labels is None or not {"cost_fp", "cost_fn"} <= set(numbers):
        return None
    return checked_costs(numbers["cost_fp"], numbers["cost_fn"], items.labels, items.amounts)


def _by_reviews(
    items: ScoredItems, reviews: ReviewedSample, policy: Policy, request: Request
) -> Threshold:
    """Choose by verdicts; a policy that needs no labels takes what is not confirmed as normal."""
    if isinstance(policy, LabelPolicy):
        return choose_from_reviews(reviews, policy, request)
    plain = replace(items, labels=None)
    of = plain if policy.of_batch else plain.take(~reviews.confirmed)
    threshold = reviews.measured(Threshold.of_policy(policy, of, request))
    return threshold.changed(note=f"{threshold.note} {reviews.describe()}".strip())


def candidate_table(
    scores: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    chosen: Threshold | None = None,
    volume: float | None = None,
    groups: ArrayLike | None = None,
    targets: Sequence[float] = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001),
    costs: Floats | None = None,
    others: Sequence[Threshold] = (),
    measure: Callable[[Threshold], Threshold] | None = None,
) -> pd.DataFrame:
    """Tabulate operating points that an owner can choose between.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Without labels all are taken as normal; with labels the normals among them set the rates.
    labels : array-like of shape (N,), optional, 1 = anomaly
        Adds recall and precision, and the F1 and Youden points.
    chosen : Threshold, optional
        Added and marked.
    volume : float, optional
        Items a day; adds false alarms a day.
    groups : array-like of shape (N,), optional
        As in `Threshold.from_fpr`.
    targets : sequence of float
        False-positive rates; those that the normals cannot support are left out.
    costs : ndarray of shape (N,), optional
        What a mistake on each item costs; with labels, adds the cost per item.
    others : sequence of Threshold
        More points, for example the one in force.
    measure : callable, optional
        Fills in the figures of a threshold, where labels are not simply there.

    Returns
    -------
    table : DataFrame
        Figures of each bound as it stands, on these items, so that rows can be compared: nested
        figures of labelled policies (`Threshold.from_labels`) stay with the threshold itself.
        One row per point, strictest first: ``policy, threshold, p_value, extrapolated, chosen``
        and ``fpr, alarms_per_day, precision, recall, cost``, each with ``_low`` and ``_high``.

    Raises
    ------
    CalibrationError
        If a score is not finite or a class is absent.
    """
    s = checked_scores(scores)
    y = None if labels is None else checked_labels(labels, s.size)
    members = None if groups is None else np.asarray(groups).reshape(-1)
    normal = np.ones(s.size, dtype=np.bool_) if y is None else ~y
    inner = None if members is None else members[normal]
    supported = smallest_fpr(calibration_units(int(normal.sum()), inner).count)
    points = [
        Threshold.from_fpr(s[normal], fpr, groups=inner) for fpr in targets if fpr >= supported
    ]
    if y is not None:
        points += [Threshold.from_labels(s, y, rule, groups=members) for rule in ("f1", "youden")]
    points += [*others, *([chosen] if chosen else [])]
    points = [_with_rate(_as_it_stands(t), s[normal], inner) for t in points]
    if measure is not None:
        points = [t if t.expected_recall else measure(t) for t in points]
    elif y is not None:
        points = [_measured(t, s, y, members, costs) for t in points]
    rows = [_row(t, volume) for t in points]
    table = pd.DataFrame(rows).assign(chosen=False)
    if chosen is not None:
        table.loc[len(points) - 1, "chosen"] = True
    return table.sort_values("threshold", ascending=False, ignore_index=True, kind="stable")


def _as_it_stands(threshold: Threshold) -> Threshold:
    """Forget figures that were measured on other bounds than this one."""
    if not needs_labels(threshold.policy):
        return threshold
    unknown = {f"expected_{name}": None for name in ("fpr", "recall", "precision", "cost")}
    return threshold.changed(**unknown)


def _with_rate(threshold: Threshold, normals: Floats, groups: AnyArray | None) -> Threshold:
    """Fill in the false-positive rate of a policy that does not set it."""
    if threshold.expected_fpr is not None:
        return threshold
    rate = rate_above(normals, threshold.value, groups)  # as `from_fpr`: rows can be compared
    return threshold.changed(expected_fpr=rate, n_normals=normals.size)


def _measured(
    threshold: Threshold,
    scores: Floats,
    labels: Bools,
    groups: AnyArray | None,
    costs: Floats | None,
) -> Threshold:
    """Fill in what labels can tell of a threshold and its policy has not told."""
    if threshold.expected_recall and (costs is None or threshold.expected_cost):
        return threshold
    measured = threshold.measured(scores, labels, groups=groups, costs=costs)
    if not threshold.expected_recall:
        return measured
    return threshold.changed(expected_cost=measured.expected_cost)


def _row(threshold: Threshold, volume: float | None) -> dict[str, object]:
    row: dict[str, object] = {
        "policy": policy_title(threshold.policy, threshold.parameters),
        "threshold": threshold.value,
        "p_value": threshold.p_value,
        "extrapolated": threshold.extrapolated,
    }
    known = threshold.figures(volume)
    for name in _FIGURES:
        figure = known.get(name, _UNKNOWN)
        row |= {name: figure.estimate, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return row
