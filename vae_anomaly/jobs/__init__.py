"""Trainings done whole, from files to a registered model, as the command line asks for them.

::

    train_images_job(ImageVAEDetector(), "parts/good", Destination("parts"))
    train_table_job(TabularVAEDetector(), ["days/*.parquet"], Destination("cards"))

Both give a `TrainingReport`: what was read, how it was understood, what was learned, where it lies.
A module is imported with the first use of a name: what trains nothing loads no networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.lazy import lazy_names

if TYPE_CHECKING:
    from vae_anomaly.batch.output.results import Flag, highest_flags
    from vae_anomaly.jobs.baselines import keep_image_baseline, keep_table_baseline
    from vae_anomaly.jobs.challenge import (
        ChallengePlan,
        ChallengeReport,
        challenge_images_job,
        challenge_table_job,
        compare_versions,
        promote_if_not_worse,
    )
    from vae_anomaly.jobs.confirmed import ConfirmedAnomalies, confirmed_anomalies
    from vae_anomaly.jobs.holdout import Asked
    from vae_anomaly.jobs.recalibrate import RecalibrationReport, recalibrate_job
    from vae_anomaly.jobs.sweep import sweep_images_job, sweep_table_job
    from vae_anomaly.jobs.train_images import train_images_job
    from vae_anomaly.jobs.train_table import (
        infer_schema_of,
        read_schema,
        schema_of_tables,
        train_table_job,
    )
    from vae_anomaly.jobs.training_report import Destination, TrainingReport
    from vae_anomaly.jobs.training_rows import SAMPLE_ROWS, TableColumns

__all__ = [
    "SAMPLE_ROWS",
    "Asked",
    "ChallengePlan",
    "ChallengeReport",
    "ConfirmedAnomalies",
    "Destination",
    "Flag",
    "RecalibrationReport",
    "TableColumns",
    "TrainingReport",
    "challenge_images_job",
    "challenge_table_job",
    "compare_versions",
    "confirmed_anomalies",
    "highest_flags",
    "infer_schema_of",
    "keep_image_baseline",
    "keep_table_baseline",
    "promote_if_not_worse",
    "read_schema",
    "recalibrate_job",
    "schema_of_tables",
    "sweep_images_job",
    "sweep_table_job",
    "train_images_job",
    "train_table_job",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "vae_anomaly.batch.output.results": ("Flag", "highest_flags"),
        ".baselines": ("keep_image_baseline", "keep_table_baseline"),
        ".challenge": (
            "ChallengePlan",
            "ChallengeReport",
            "challenge_images_job",
            "challenge_table_job",
            "compare_versions",
            "promote_if_not_worse",
        ),
        ".confirmed": ("ConfirmedAnomalies", "confirmed_anomalies"),
        ".holdout": ("Asked",),
        ".recalibrate": ("RecalibrationReport", "recalibrate_job"),
        ".sweep": ("sweep_images_job", "sweep_table_job"),
        ".train_images": ("train_images_job",),
        ".train_table": ("infer_schema_of", "read_schema", "schema_of_tables", "train_table_job"),
        ".training_report": ("Destination", "TrainingReport"),
        ".training_rows": ("SAMPLE_ROWS", "TableColumns"),
    },
)
