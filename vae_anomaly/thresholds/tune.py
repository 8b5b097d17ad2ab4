"""Choose a threshold by what the owner asks for, and say in words what it will mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vae_anomaly.arrays import Floats
from vae_anomaly.thresholds.candidates import candidate_table
from vae_anomaly.thresholds.catalogue import DEFAULT, policy_of
from vae_anomaly.thresholds.interactive import ThresholdContext
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.policy import LabelPolicy, Policy, Request
from vae_anomaly.thresholds.record import PER_THOUSAND
from vae_anomaly.thresholds.reviews.sample import ReviewedSample, choose_from_reviews
from vae_anomaly.thresholds.rules import checked_costs
from vae_anomaly.thresholds.threshold import Threshold

if TYPE_CHECKING:
    import pandas as pd


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
