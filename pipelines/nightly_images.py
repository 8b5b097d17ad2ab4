"""Score one night's folder of images.

python -m pipelines.nightly_images pipelines/nightly_images.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipelines.image_keys import ImageKeys
from pipelines.job import run_job
from pipelines.nightly import Nightly
from pipelines.places import one_or_all
from vae_anomaly.batch import Options, Partition, score_images
from vae_anomaly.batch.asked import AskedFor, images_asked_for, images_in
from vae_anomaly.batch.output.remote import place_to_look_at


class NightlyImages(Nightly, ImageKeys):
    """Which images get a heatmap or a mask, where the model computes, and what links do."""

    heatmaps: Literal["flagged", "all", "none"] = "flagged"
    masks: Literal["flagged", "all", "none"] = "flagged"
    device: str = "cpu"
    white: int | None = None
    follow_links: bool = False

    def partitions(self) -> Sequence[Partition]:
        """Return the partitions of the input; no model is asked."""
        source, out = one_or_all(self.input), Path(self.output)
        return images_in(source, out, follow_links=self.follow_links)

    def asked(self) -> AskedFor:
        """Return what would be scored, and with what."""
        reading = self.reading(white=self.white)
        return images_asked_for(
            self.model, one_or_all(self.input), place_to_look_at(self.output),
            Options(
                heatmaps=self.heatmaps, masks=self.masks, reading=reading, learn=self.learning()
            ),
            uri=self.tracking_uri, use_cached=self.use_cached_model,
            follow_links=self.follow_links,
        )  # fmt: skip


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
