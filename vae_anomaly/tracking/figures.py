"""The figures that every training run gets: how it learned, and what normal scores look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_figures(detector: Any) -> dict[str, Figure]:
    """Return the figures of a fitted detector, by file name without its ending."""
    figures = {"score_histogram": score_histogram(detector)}
    records = getattr(getattr(detector, "history_", None), "records", [])
    if records:
        figures["loss_curves"] = loss_curves(records, detector.history_.best_step)
    return figures


def loss_curves(records: list[dict[str, float]], best_step: int) -> Figure:
    """Draw reconstruction, KL and validation ELBO over the steps of training, in nats."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 5.0))
    upper, lower = figure.subplots(2, 1, sharex=True)
    steps = [record["step"] for record in records]
    for name, axes in (
        ("train_nll", upper),
        ("val_nll", upper),
        ("train_kl", lower),
        ("val_kl", lower),
    ):
        axes.plot(steps, [record.get(name, np.nan) for record in records], label=name)
    upper.plot(
        steps, [-record.get("val_elbo", np.nan) for record in records], "k--", label="-val_elbo"
    )
    for axes, label in ((upper, "nats, lower = better"), (lower, "KL, nats")):
        axes.axvline(best_step, color="0.6", linewidth=1.0)
        axes.set_ylabel(label)
        axes.legend(frameon=False)
    figure.align_ylabels()
    lower.set_xlabel("step (the grey line marks the weights that were kept)")
    return figure


def score_histogram(detector: Any) -> Figure:
    """Draw the anomaly scores of held-out normals and the threshold, counts on a log axis."""
    from matplotlib.figure import Figure

    scores = detector.calibration_.reference_scores()
    figure = Figure(figsize=(8.0, 3.5))
    axes = figure.subplots()
    axes.hist(scores, bins=60, log=True, color="0.6")
    axes.axvline(detector.threshold_.value, color="tab:red", label="threshold")
    axes.set_xlabel("anomaly score of held-out normals, -log10 p (higher = more anomalous)")
    axes.set_ylabel("count")
    figure.subplots_adjust(bottom=0.16)
    axes.legend(frameon=False)
    return figure
