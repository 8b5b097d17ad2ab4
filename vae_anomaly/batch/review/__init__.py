"""What a run keeps of the items that people will look at, so that a page needs no model."""

from __future__ import annotations

from vae_anomaly.batch.output.written import review_path
from vae_anomaly.batch.review.models import models_path, read_scoring_facts
from vae_anomaly.batch.review.store import (
    ReviewKeeper,
    draw_of,
    most_of,
    read_review,
)

__all__ = [
    "ReviewKeeper",
    "draw_of",
    "models_path",
    "most_of",
    "read_review",
    "read_scoring_facts",
    "review_path",
]
