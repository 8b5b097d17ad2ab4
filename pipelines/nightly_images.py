"""Score one night's folder of images.

python -m pipelines.nightly_images pipelines/nightly_images.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from typing import Any, Literal

from pipelines.job import run_job
from pipelines.nightly import Nightly
from vae_anomaly.batch import score_images


class NightlyImages(Nightly):
    """Which images get a heatmap or a mask, and where the model computes."""

    heatmaps: Literal["flagged", "all", "none"] = "flagged"
    masks: Literal["flagged", "all", "none"] = "flagged"
    device: str = "cpu"


def score(job: NightlyImages) -> dict[str, Any]:
    """Score what is new; return the counts."""
    return job.done_by(score_images)


if __name__ == "__main__":
    run_job(NightlyImages, score)
