"""Choose a threshold by what the owner asks for, and say in words what it will mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_anomaly.arrays import Floats
from vae_anomaly.errors import ConfigError
from vae_anomaly.thresholds.candidates import candidate_table
from vae_anomaly.thresholds.costs import checked_costs
from vae_anomaly.thresholds.interactive import Bench
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.policies import Threshold
from vae_anomaly.thresholds.record import PER_THOUSAND
from vae_anomaly.thresholds.reviews.sample import ReviewedSample, threshold_from_reviews
from vae_anomaly.thresholds.rules import LABEL_POLICIES

if TYPE_CHECKING:
    import pandas as pd

Ask = Mapping[str, float]


@dataclass(frozen=True)
class Tuned:
    """A chosen threshold beside the ones that were not chosen.

    Parameters
    ----------
    threshold : Threshold
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
    ask: Ask,
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
    ask : mapping of str to float
        What the owner asks for: one of `POLICIES`, with its number; ``cost_fp`` and ``cost_fn`` go
        together. Empty: a false-positive rate of 1 %.
    volume : float, optional
        Items a day.
    current : Threshold, optional
        The one in force; listed beside the others.
    reviews : ReviewedSample, optional
        Reviewers' verdicts on these items, instead of labels.

    Returns
    -------
    tuned : Tuned

    Raises
    ------
    ConfigError
        If more than one thing is asked for, or labels are needed and there are none.
    CalibrationError
        If the scores cannot support what is asked for.
    """
    wish = dict(ask) or {"target_fpr": 0.01}
    choose = POLICIES[_policy_of(wish)]
    if reviews is not None:
        threshold = _by_reviews(items, reviews, wish, volume)
    else:
        threshold = choose(items, wish, volume)
    if volume is not None:
        told = {**threshold.parameters, "volume": volume}
        threshold = threshold.model_copy(update={"parameters": told})
    return tuned_at(items, threshold, wish, volume=volume, current=current, reviews=reviews)


def tuned_at(
    items: ScoredItems,
    threshold: Threshold,
    ask: Ask,
    *,
    volume: float | None = None,
    current: Threshold | None = None,
    reviews: ReviewedSample | None = None,
) -> Tuned:
    """Put a threshold beside the others that one could have; parameters as for `tune`."""
    point = bench(items, ask, volume=volume, reviews=reviews)
    if threshold.expected_recall is None and point.measure is not None:
        threshold = point.measure(threshold)
    now = [] if current is None else [Threshold(value=current.value, policy="in force")]
    day = volume or PER_THOUSAND
    table = candidate_table(
        items.scores if reviews is None else point.normals,
        items.labels if reviews is None else None,
        chosen=threshold,
        volume=day,
        groups=items.groups if reviews is None else point.groups,
        costs=_costs(items, ask),
        others=now,
        measure=point.measure if reviews is not None else None,
    )
    same = (table["threshold"] == threshold.value) & ~table["chosen"]  # the chosen one says it
    return Tuned(threshold, table[~same].reset_index(drop=True), day, threshold.in_words(volume))


def bench(
    items: ScoredItems,
    ask: Ask,
    *,
    volume: float | None = None,
    reviews: ReviewedSample | None = None,
) -> Bench:
    """Return what thresholds are measured on; parameters as for `tune`."""
    if reviews is not None:
        told, rest = reviews, items.take(~reviews.confirmed)
        prices = {name: ask.get(name) for name in ("cost_fp", "cost_fn")}
        return Bench(
            items.scores,
            rest.scores,
            measure=lambda point: told.measured(point, **prices),
            volume=volume,
            groups=rest.groups,
        )
    measure, y, costs = None, items.labels, _costs(items, ask)
    if y is not None:

        def measure(point: Threshold) -> Threshold:
            return point.measured(items.scores, y, groups=items.groups, costs=costs)

    return Bench(
        items.scores, items.normals, measure=measure, volume=volume, groups=items.normal_groups
    )


def _costs(items: ScoredItems, ask: Ask) -> Floats | None:
    if items.labels is None or not {"cost_fp", "cost_fn"} <= set(ask):
        return None
    return checked_costs(ask["cost_fp"], ask["cost_fn"], items.labels, items.amounts)


def _by_reviews(
    items: ScoredItems, reviews: ReviewedSample, wish: Ask, volume: float | None
) -> Threshold:
    """Choose by verdicts; a policy that needs no labels takes what is not confirmed as normal."""
    policy, plain = _policy_of(wish), replace(items, labels=None)
    if policy in LABEL_POLICIES:
        return threshold_from_reviews(
            reviews,
            f"f{wish['f_beta']:g}" if policy == "f_beta" else policy,
            target=wish.get(policy),
            cost_fp=wish.get("cost_fp"),
            cost_fn=wish.get("cost_fn"),
        )
    of = plain if policy in {"capacity", "fdr"} else plain.take(~reviews.confirmed)
    threshold = reviews.measured(POLICIES[policy](of, wish, volume))
    note = f"{threshold.note} {reviews.describe()}".strip()
    return threshold.model_copy(update={"note": note})


def _policy_of(ask: Ask) -> str:
    asked = list(dict.fromkeys("cost" if name.startswith("cost_") else name for name in ask))
    if len(asked) > 1:
        raise ConfigError(
            f"A threshold follows one wish; got {len(asked)}: {', '.join(map(_option, asked))}. "
            "Keep one of them."
        )
    return asked[0] if asked else "target_fpr"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _volume(volume: float | None, what: str) -> float:
    if volume is None:
        raise ConfigError(f"{what} needs to know how many items there are a day. Add --volume N.")
    return volume


def _youden(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return _by_rule(items, "youden", "youden")


def _fpr(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_fpr(items.normals, ask["target_fpr"], groups=items.normal_groups)


def _max_alarms(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    day = _volume(volume, "--max-alarms-per-day")
    return Threshold.from_max_alarms(
        items.normals, ask["max_alarms_per_day"], day, groups=items.normal_groups
    )


def _quantile(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_quantile(items.normals, ask["quantile"], groups=items.normal_groups)


def _tail(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_tail(items.normals, ask["tail_fpr"], groups=items.normal_groups)


def _fdr(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    if items.held_out is not None and np.array_equal(items.scores, items.held_out):
        raise ConfigError(
            "--fdr flags one batch of new items; the held-out normals are none. Add --scores FILE "
            "or --input PATH."
        )
    return Threshold.from_fdr(
        items.scores,
        ask["fdr"],
        normals=items.held_out,
        normal_groups=items.held_out_groups,
        groups=items.groups,
    )


def _capacity(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_capacity(
        items.scores, ask["capacity"], volume=volume, groups=items.groups
    )


def _f_beta(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return _by_rule(items, f"f{ask['f_beta']:g}", "f_beta")


def _min_precision(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return _by_rule(items, "min_precision", "min_precision", ask["min_precision"])


def _min_recall(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return _by_rule(items, "min_recall", "min_recall", ask["min_recall"])


def _cost(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    if not {"cost_fp", "cost_fn"} <= set(ask):
        raise ConfigError("A cost has two sides. Give both --cost-fp and --cost-fn.")
    return Threshold.from_cost(
        items.scores,
        _labels(items, "cost"),
        cost_fp=ask["cost_fp"],
        cost_fn=ask["cost_fn"],
        amounts=items.amounts,
        groups=items.groups,
    )


def _by_rule(
    items: ScoredItems, policy: str, option: str, target: float | None = None
) -> Threshold:
    return Threshold.from_labels(
        items.scores, _labels(items, option), policy, target=target, groups=items.groups
    )


def _labels(items: ScoredItems, option: str) -> Any:
    if items.labels is None:
        raise ConfigError(
            f"{_option(option)} weighs anomalies against normals, so it needs labelled items. Add "
            "--input PATH (or --scores FILE) and --labels COLUMN, or ask for --target-fpr."
        )
    return items.labels


POLICIES: dict[str, Callable[[ScoredItems, Ask, float | None], Threshold]] = {
    "target_fpr": _fpr,
    "max_alarms_per_day": _max_alarms,
    "quantile": _quantile,
    "tail_fpr": _tail,
    "fdr": _fdr,
    "capacity": _capacity,
    "f_beta": _f_beta,
    "youden": _youden,
    "min_precision": _min_precision,
    "min_recall": _min_recall,
    "cost": _cost,
}
"""What can be asked for: the name of the wish and the function that grants it."""
