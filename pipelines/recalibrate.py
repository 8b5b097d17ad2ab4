"""Calibrate a registered model anew on recent normals, without training.

python -m pipelines.recalibrate pipelines/recalibrate.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field

from pipelines.image_keys import ImageKeys
from pipelines.job import Job, run_job
from pipelines.places import Place, Places, one_or_all
from pipelines.training import Labels
from vae_anomaly.data.images.folders import ClassNames
from vae_anomaly.jobs import recalibrate_job


class Recalibrate(Job, ImageKeys):
    """Which model, on which normals, and at what rate of false alarms."""

    model: Place
    input: Places
    target_fpr: float | None = None
    labels: Labels | None = None
    groups: str | None = None
    state: Place | None = None
    good: list[str] = Field(default_factory=list)
    defect: list[str] = Field(default_factory=list)
    follow_links: bool = False
    white: int | None = None
    out: Place | None = None
    alias: str | None = None
    who: str | None = None
    reason: str = ""


def recalibrate(job: Recalibrate) -> dict[str, Any]:
    """Make p-values and threshold anew; return what was flagged before, and where it went."""
    done = recalibrate_job(
        job.model, one_or_all(job.input), target_fpr=job.target_fpr, labels=job.labels,
        groups=job.groups, state=job.state, follow_links=job.follow_links,
        classes=ClassNames(tuple(job.good), tuple(job.defect)),
        reading=job.reading(white=job.white), out=job.out, alias=job.alias, who=job.who,
        reason=job.reason, uri=job.tracking_uri,
    )  # fmt: skip
    return {**asdict(done), "threshold": done.threshold.to_dict()}


if __name__ == "__main__":
    run_job(Recalibrate, recalibrate)
