"""How good a ranking and a flag are, each figure with its interval.

Everywhere: ``labels`` are 1 (or True) for an anomaly and 0 for a normal item, higher ``scores`` are
more anomalous, and an item is flagged when its score is *greater than* the threshold.
"""

from __future__ import annotations

from vae_anomaly.metrics.checks import checked_labels, checked_scores, is_flagged
from vae_anomaly.metrics.curves import RankingCurve, bootstrap_interval
from vae_anomaly.metrics.figures import (
    aupro,
    auroc,
    average_precision,
    fpr_at_tpr,
    partial_auroc,
    pixel_figures,
    recall_by_kind,
)
from vae_anomaly.metrics.intervals import (
    Interval,
    effective_items,
    grouped_interval,
    proportion_interval,
)

__all__ = [
    "Interval",
    "RankingCurve",
    "aupro",
    "auroc",
    "average_precision",
    "bootstrap_interval",
    "checked_labels",
    "checked_scores",
    "effective_items",
    "fpr_at_tpr",
    "grouped_interval",
    "is_flagged",
    "partial_auroc",
    "pixel_figures",
    "proportion_interval",
    "recall_by_kind",
]
