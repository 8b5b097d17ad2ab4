"""What a run keeps of the items that people will look at, so that a page needs no model."""

from __future__ import annotations

from vae_anomaly.batch.review.store import ReviewKeeper, draw_of, read_review, review_path

__all__ = ["ReviewKeeper", "draw_of", "read_review", "review_path"]
