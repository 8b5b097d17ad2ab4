"""Score one night's folder of images.

python -m pipelines.nightly_images pipelines/nightly_images.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from typing import Any, Literal

from pipelines.image_keys import ImageKeys
from pipelines.job import run_job
from pipelines.nightly import Nightly
from vae_anomaly.batch import score_images


class NightlyImages(Nightly, ImageKeys):
    """Which images get a heatmap or a mask, where the model computes, and what links do."""

    heatmaps: Literal["flagged", "all", "none"] = "flagged"
    masks: Literal["flagged", "all", "none"] = "flagged"
    device: str = "cpu"
    white: int | None = None
    follow_links: bool = False


def score(job: NightlyImages) -> dict[str, Any]:
    """Score what is new; return the counts."""
    return job.done_by(
        score_images,
        heatmaps=job.heatmaps,
        masks=job.masks,
        device=job.device,
        follow_links=job.follow_links,
        reading=job.reading(white=job.white),
    )


if __name__ == "__main__":
    run_job(NightlyImages, score)
