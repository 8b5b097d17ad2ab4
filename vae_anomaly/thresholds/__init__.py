"""Thresholds in the owner's words: what is flagged, by which rule, and what that will cost.

An item is flagged when its ``anomaly_score > value``. Policies that need normals only are what an
owner has on the first day; policies with labels report figures that were not measured on the items
that chose the threshold. Reviewers' verdicts count as labels of a sample that flags have selected.

Importing this package loads nothing heavy, so that the command line can list the policies.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOME = {
    "ReviewedSample": "reviews.sample",
    "Threshold": "threshold",
    "candidate_table": "candidates",
    "smallest_fpr": "conformal",
    "threshold_from_reviews": "reviews.sample",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
