"""Choose a threshold by what the owner asks for, and say in words what it will mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vae_anomaly.errors import ConfigError
from vae_anomaly.evaluation.items import ScoredItems
from vae_anomaly.thresholds import Threshold, candidate_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["POLICIES", "Tuned", "tune"]

Ask = Mapping[str, float]
PER_THOUSAND = 1000.0


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


def tune(items: ScoredItems, ask: Ask, *, volume: float | None = None) -> Tuned:
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
    threshold = POLICIES[_policy_of(ask)](items, dict(ask) or {"target_fpr": 0.01}, volume)
    if items.labels is not None and threshold.expected_recall is None:
        threshold = threshold.measured(items.scores, items.labels, groups=items.groups)
    day = volume or PER_THOUSAND
    table = candidate_table(
        items.scores, items.labels, chosen=threshold, volume=day, groups=items.groups
    )
    same = (table["threshold"] == threshold.value) & ~table["chosen"]  # the chosen one says it
    return Tuned(threshold, table[~same].reset_index(drop=True), day, in_words(threshold, volume))


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


def _fpr(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_fpr(items.normals, ask["target_fpr"], groups=_normal_groups(items))


def _max_alarms(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    day = _volume(volume, "--max-alarms-per-day")
    return Threshold.from_max_alarms(
        items.normals, ask["max_alarms_per_day"], day, groups=_normal_groups(items)
    )


def _quantile(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_quantile(items.normals, ask["quantile"])


def _tail(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_tail(items.normals, ask["tail_fpr"])


def _fdr(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_fdr(items.scores, ask["fdr"])


def _capacity(items: ScoredItems, ask: Ask, volume: float | None) -> Threshold:
    return Threshold.from_capacity(items.scores, ask["capacity"], volume=volume)


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


def _normal_groups(items: ScoredItems) -> Any:
    if items.groups is None or items.labels is None:
        return items.groups
    return items.groups[~items.labels]


POLICIES: dict[str, Callable[[ScoredItems, Ask, float | None], Threshold]] = {
    "target_fpr": _fpr,
    "max_alarms_per_day": _max_alarms,
    "quantile": _quantile,
    "tail_fpr": _tail,
    "fdr": _fdr,
    "capacity": _capacity,
    "f_beta": _f_beta,
    "min_precision": _min_precision,
    "min_recall": _min_recall,
    "cost": _cost,
}
"""What can be asked for: the name of the wish and the function that grants it."""


def in_words(threshold: Threshold, volume: float | None = None) -> str:
    """Say what a threshold means to the person who answers for it.

    Parameters
    ----------
    threshold : Threshold
    volume : float, optional
        Items a day.
    """
    said = [
        f"An item is flagged when its anomaly score is above {threshold.value:.4g}: "
        f"at most {one_in(threshold.value)} normal items is that strange."
    ]
    rate = threshold.expected_fpr
    if rate is not None:
        count, unit = (volume, "a day") if volume else (PER_THOUSAND, "")
        alarms = rate.scaled(count)
        said.append(
            f"Of {count:,.0f} good items {unit}".rstrip()
            + f" about {_amount(alarms.estimate)} will be flagged "
            f"({_amount(alarms.low)} to {_amount(alarms.high)})."
        )
    for figure, text in (
        (threshold.expected_recall, "of the anomalies are found"),
        (threshold.expected_precision, "of the flags are real"),
    ):
        if figure is not None:
            said.append(f"{figure.estimate:.0%} {text} ({figure.low:.0%} to {figure.high:.0%}).")
    if threshold.expected_cost is not None:
        said.append(f"The cost is {threshold.expected_cost.estimate:.4g} per item.")
    if threshold.extrapolated:
        said.append("This rests on a fitted tail, beyond what the normals can show.")
    return " ".join([*said, threshold.note]).strip()


def one_in(score: float) -> str:
    """Say an anomaly score, -log10 p, as ``1 in N``."""
    if score <= 0:
        return "every one of the"
    many = 10.0 ** min(score, 300.0)
    if many > 1e9:
        return "fewer than 1 in 1,000,000,000"
    return f"1 in {math.floor(many + 1e-9):,}" if many >= 10 else f"1 in {many:.3g}"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
