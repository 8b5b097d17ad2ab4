"""Train the image detector on good parts and register it.

python -m pipelines.train_images pipelines/train_images.toml
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pipelines.job import Job, Place, Section, run_job
from vae_anomaly import ImageVAEDetector
from vae_anomaly.tracking import log_training

__all__ = ["TrainImages", "train"]


class Detector(Section):
    """Parameters of `ImageVAEDetector`."""

    image_size: int = 256
    preset: Literal["fast", "default", "thorough"] = "default"
    channels: Literal[1, 3] | None = None
    target_fpr: float = 0.01
    max_steps: int | None = None
    random_state: int | None = None


class TrainImages(Job):
    """Where the good pictures are, and what the model is called."""

    name: str
    images: Place
    alias: str | None = None
    experiment: str = "vae-anomaly"
    detector: Detector = Detector()


def train(job: TrainImages) -> dict[str, Any]:
    """Fit, log and register; return where it went."""
    detector = ImageVAEDetector(**job.detector.model_dump()).fit(job.images)
    model = log_training(
        detector,
        name=job.name,
        experiment=job.experiment,
        alias=job.alias,
        evidence="trained by pipelines.train_images",
        uri=job.tracking_uri,
    )
    return {**asdict(model), "threshold": detector.threshold_.value, "metrics": detector.metrics_}


if __name__ == "__main__":
    run_job(TrainImages, train)
