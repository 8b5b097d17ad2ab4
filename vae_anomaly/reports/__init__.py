"""What people look at: figures of an evaluation and cards of single images."""

from __future__ import annotations

from vae_anomaly.files import write_json
from vae_anomaly.reports.figures import (
    evaluation_figures,
    reliability_figure,
    training_figures,
    write_evaluation,
    write_figure,
    write_figures,
)

__all__ = [
    "evaluation_figures",
    "reliability_figure",
    "training_figures",
    "write_evaluation",
    "write_figure",
    "write_figures",
    "write_json",
]
