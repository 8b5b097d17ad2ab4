"""Thresholds and scores, said to the person who answers for them."""

from __future__ import annotations

import math

from vae_anomaly.thresholds import Threshold

__all__ = ["in_words", "one_in"]

PER_THOUSAND = 1000.0


def in_words(threshold: Threshold, volume: float | None = None) -> str:
    """Say what a threshold means to the person who answers for it.

    Parameters
    ----------
    threshold : Threshold
    volume : float, optional
        Items a day.
    """
    said = [
        f"An item is flagged when its anomaly score is above {threshold.value:.4g}: by the model's "
        f"own calibration at most {one_in(threshold.value)} normal items is that strange."
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
