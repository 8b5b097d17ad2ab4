"""Score one night's folder of pictures.

python -m pipelines.nightly_images pipelines/nightly_images.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pipelines.job import Job, Place, run_job
from vae_anomaly.batch import score_images

__all__ = ["NightlyImages", "score"]


class NightlyImages(Job):
    """Which model scores which pictures, and where the results go."""

    model: Place
    input: Place
    output: Place
    heatmaps: Literal["flagged", "all", "none"] = "flagged"
    masks: Literal["flagged", "all", "none"] = "flagged"
    max_bad_fraction: float = 0.05
    workers: int = 1
    use_cached_model: bool = False


def score(job: NightlyImages) -> dict[str, Any]:
    """Score what is new; return the counts."""
    summary = score_images(
        job.model,
        job.input,
        job.output,
        heatmaps=job.heatmaps,
        masks=job.masks,
        max_bad_fraction=job.max_bad_fraction,
        workers=job.workers,
        uri=job.tracking_uri,
        use_cached=job.use_cached_model,
    )
    return asdict(summary)


if __name__ == "__main__":
    run_job(NightlyImages, score)
