"""Choose a threshold by what the owner asks for, beside the others that one could have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.thresholds.candidates import candidate_table, learned_table, with_rate
from vae_anomaly.thresholds.catalogue import DEFAULT, combined_basis, policy_of
from vae_anomaly.thresholds.interactive import ThresholdContext
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.policy import LabelPolicy, Policy, Request
from vae_anomaly.thresholds.record import PER_THOUSAND
from vae_anomaly.thresholds.reviews.sample import ReviewedSample, choose_from_reviews
from vae_anomaly.thresholds.rules import checked_costs
from vae_anomaly.thresholds.threshold import Threshold


@dataclass(frozen=True)
class Tuned:
    """A chosen threshold beside the ones that were not chosen.

    Parameters
    ----------
    table : DataFrame
        As `candidate_table`, or `learned_table` where verdicts have taught something of the items;
        ``alarms_per_day`` counts per ``volume`` items.
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
    combined: bool = False,
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
    combined : bool
        Bound what verdicts have taught, not the model's own scores: the items are then of a run
        that ranked by it.

    Raises
    ------
    ConfigError
        If more than one thing is asked for, or labels are needed and there are none; if what is
        asked for can bound the model's own scores only.
    DataError
        If nothing was learned when the items were scored.
    CalibrationError
        If the scores cannot support what is asked for.
    """
    request = Request(dict(numbers) or DEFAULT, volume)
    policy = policy_of(request)
    bounded = items.on(combined_basis(policy)) if combined else items
    if reviews is None:
        threshold = Threshold.of_policy(policy, bounded, request)
    else:
        threshold = _by_reviews(bounded, _reviewed(bounded, reviews), policy, request)
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
    day, now = volume or PER_THOUSAND, []
    if current is not None:
        now = [Threshold(value=current.value, policy="in force", basis=current.basis)]
    if items.is_learned:
        return _beside_learned(items, threshold, numbers, now, volume, reviews)
    context = threshold_context(items, numbers, volume=volume, reviews=reviews)
    if threshold.expected_recall is None and context.measure is not None:
        threshold = context.measure(threshold)
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


def _beside_learned(
    items: ScoredItems,
    threshold: Threshold,
    numbers: Mapping[str, float],
    others: Sequence[Threshold],
    volume: float | None,
    reviews: ReviewedSample | None,
) -> Tuned:
    """Put a threshold beside others on the model's scores and on what verdicts have taught."""

    def measure(point: Threshold) -> Threshold:
        own = items.on(point.basis)
        sample = None if reviews is None else _reviewed(own, reviews)
        context = threshold_context(own, numbers, reviews=sample)
        point = with_rate(point, context.normals, context.groups)
        if context.measure is None or point.expected_recall is not None:
            return point
        return context.measure(point)

    threshold = measure(threshold)
    own = items.on("score")
    rest = own if reviews is None else own.take(~reviews.confirmed)
    day = volume or PER_THOUSAND
    table = learned_table(items, threshold, rest, others=others, volume=day, measure=measure)
    return Tuned(threshold, table, day, threshold.in_words(volume))


def _reviewed(items: ScoredItems, reviews: ReviewedSample) -> ReviewedSample:
    """Return reviews with the scores that these items have now."""
    return reviews if items.basis == "score" else reviews.rescored(items.scores)


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
        return choose_from_reviews(reviews, policy, request).changed(basis=items.basis)
    plain = replace(items, labels=None)
    of = plain if policy.of_batch else plain.take(~reviews.confirmed)
    threshold = reviews.measured(Threshold.of_policy(policy, of, request))
    return threshold.changed(note=f"{threshold.note} {reviews.describe()}".strip())
