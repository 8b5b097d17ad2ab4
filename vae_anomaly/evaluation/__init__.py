"""Measure a detector against labels, tune its threshold, and look into single items.

::

    items = score_items(detector, "days/", labels="labels.parquet:is_fraud")
    evaluate(items, detector.threshold_)            figures with intervals
    run_gate("cards", 4, ["auroc>=0.9"], "days/")   a promotion only where it holds
    tune(items, {"max_alarms_per_day": 20}, volume=9500)
                                                    a threshold, and the others it was chosen from
    inspect_rows(detector, frame) / inspect_images(detector, paths)
"""

from __future__ import annotations

from vae_anomaly.evaluation.gate import GateResult, Requirement, run_gate
from vae_anomaly.evaluation.inspection import Inspection, inspect_images, inspect_rows
from vae_anomaly.evaluation.items import (
    held_out_normals,
    read_scores,
    score_items,
    with_held_out,
)
from vae_anomaly.evaluation.report import EvaluationReport, evaluate
from vae_anomaly.persistence import score_scale
from vae_anomaly.thresholds.catalogue import POLICIES
from vae_anomaly.thresholds.compare import Comparison, compare, require_same_scale
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.reviews.verdicts import (
    ReadVerdicts,
    draw_audit,
    read_verdicts,
    require_scored,
    require_unfilled,
    reviewed_items,
)
from vae_anomaly.thresholds.tune import Tuned, threshold_context, tune, tuned_at
from vae_anomaly.tracking.apply import (
    Application,
    AppliedProbability,
    apply_probability,
    apply_threshold,
    bind,
    fit_probability,
    require_same_scores,
    require_scores_of,
)

__all__ = [
    "POLICIES",
    "Application",
    "AppliedProbability",
    "Comparison",
    "EvaluationReport",
    "GateResult",
    "Inspection",
    "ReadVerdicts",
    "Requirement",
    "ScoredItems",
    "Tuned",
    "apply_probability",
    "apply_threshold",
    "bind",
    "compare",
    "draw_audit",
    "evaluate",
    "fit_probability",
    "held_out_normals",
    "inspect_images",
    "inspect_rows",
    "read_scores",
    "read_verdicts",
    "require_same_scale",
    "require_same_scores",
    "require_scored",
    "require_scores_of",
    "require_unfilled",
    "reviewed_items",
    "run_gate",
    "score_items",
    "score_scale",
    "threshold_context",
    "tune",
    "tuned_at",
    "with_held_out",
]
