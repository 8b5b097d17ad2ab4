"""Train the image detector on good parts and register it.

python -m pipelines.train_images pipelines/train_images.toml
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipelines.challenger import Challenger, challenged
from pipelines.image_keys import ImageKeys
from pipelines.job import run_job
from pipelines.places import Place, Places, one_or_all
from pipelines.training import ImageParameters, outcome
from vae_anomaly import ImageVAEDetector
from vae_anomaly.data.images.folders import ClassNames
from vae_anomaly.jobs import Asked, challenge_images_job, train_images_job


class TrainImages(Challenger, ImageKeys):
    """Where the good images are, which folders are good, and what is asked of the detector."""

    images: Places
    groups: Place | None = None
    follow_links: bool = False
    good: list[str] = Field(default_factory=list)
    defect: list[str] = Field(default_factory=list)
    detector: ImageParameters = Field(default_factory=dict)


def train(job: TrainImages) -> dict[str, Any]:
    """Train, save and register; return where it went."""
    detector = ImageVAEDetector(**job.detector)
    place = job.destination("pipelines.train_images")
    place.begin(detector, job.warm_start)
    classes = ClassNames(tuple(job.good), tuple(job.defect))
    read: dict[str, Any] = {
        "classes": classes,
        "follow_links": job.follow_links,
        "reading": job.reading(),
    }
    plan = job.plan(Asked("", **read))
    read |= {"groups": job.groups, "leave_out": job.confirmed()}
    if plan is not None:
        done = challenge_images_job(detector, one_or_all(job.images), place, plan, **read)
        return challenged(done)
    return outcome(train_images_job(detector, one_or_all(job.images), place, **read))


if __name__ == "__main__":
    run_job(TrainImages, train)
