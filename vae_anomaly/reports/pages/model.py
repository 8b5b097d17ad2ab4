"""The page of a model: what it learned from, how sure it is, and what it is not for."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vae_anomaly.detectors.images.fit.self_test import found_table
from vae_anomaly.reports.charts.curves import (
    Plot,
    held_out_plot,
    latent_plot,
    loss_plots,
    precision_plot,
    reliability_plot,
    roc_plot,
)
from vae_anomaly.reports.facts.model import ModelFacts
from vae_anomaly.reports.pages.items import shrink_items
from vae_anomaly.reports.pages.page import render_page

FIGURE_NAMES: Final = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "fpr_at_95_tpr": "false-positive rate at 95 % recall",
    "partial_auroc": "partial AUROC (false-positive rate up to 10 %)",
    "recall": "recall at the threshold",
    "fpr": "false-positive rate at the threshold",
    "precision": "precision at the threshold",
    "f1": "F1 at the threshold",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
}


def model_page(facts: ModelFacts, *, made: datetime | None = None) -> str:
    """Draw the page of a model.

    Parameters
    ----------
    facts : ModelFacts
    made : datetime, optional
        When; now, if it is not given.

    Returns
    -------
    html : str
        One file that asks for nothing else.
    """
    kept = facts.training.strangest if facts.training else ()
    version = "" if facts.version is None else f" version {facts.version}"
    return render_page(
        "model.html",
        title=f"{facts.name}{version}",
        facts={"name": facts.name, "digest": facts.digest, "items": shrink_items(kept)},
        scripts=("model",),
        page_styles=("cards", "viewer", "rows", "model"),
        made=made,
        model=facts,
        calibration_plots=_calibration_plots(facts),
        loss_plots=() if facts.training is None else _losses(facts),
        evaluations=[(one, _curves(facts, k)) for k, one in enumerate(facts.evaluations)],
        names=FIGURE_NAMES,
        found_table=found_table(facts.found),
    )


def _losses(facts: ModelFacts) -> tuple[Plot, ...]:
    losses = facts.training.losses if facts.training else None
    return () if losses is None else loss_plots(losses)


def _calibration_plots(facts: ModelFacts) -> tuple[Plot, ...]:
    value = float(facts.threshold["value"])
    plots = [held_out_plot(facts.held_out_scores, value, facts.n_held_out)]
    if facts.reliability is not None and (plot := reliability_plot(facts.reliability)):
        plots.append(plot)
    if facts.latent_map is not None:
        plots.append(latent_plot(facts.latent_map))
    return tuple(plots)


def _curves(facts: ModelFacts, k: int) -> tuple[Plot, ...]:
    points = facts.evaluations[k].curve
    if points is None:
        return ()
    return roc_plot(points, f"roc-{k}"), precision_plot(points, f"precision-{k}")
