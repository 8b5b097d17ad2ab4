"""Thresholds in the owner's words: what is flagged, by which rule, and what that will cost.

An item is flagged when its ``anomaly_score > value``. Policies that need normals only are what an
owner has on the first day; policies with labels report figures that were not measured on the items
that chose the threshold. Reviewers' verdicts count as labels of a sample that flags have selected.

Importing this package loads nothing heavy, so that the command line can list the policies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.lazy import lazy_names

if TYPE_CHECKING:
    from vae_anomaly.thresholds.candidates import candidate_table
    from vae_anomaly.thresholds.conformal import smallest_fpr
    from vae_anomaly.thresholds.reviews.sample import ReviewedSample, threshold_from_reviews
    from vae_anomaly.thresholds.threshold import Threshold

__all__ = [
    "ReviewedSample",
    "Threshold",
    "candidate_table",
    "smallest_fpr",
    "threshold_from_reviews",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".candidates": ("candidate_table",),
        ".conformal": ("smallest_fpr",),
        ".reviews.sample": ("ReviewedSample", "threshold_from_reviews"),
        ".threshold": ("Threshold",),
    },
)
