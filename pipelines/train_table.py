"""Train the tabular detector on normal rows and register it.

python -m pipelines.train_table pipelines/train_table.toml
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from pipelines.job import Job, Place, Section, run_job
from vae_anomaly import TabularVAEDetector
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.data.tables.files import list_partitions
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.jobs.entity_rows import read_with_history
from vae_anomaly.jobs.train_table import kinds_beside, read_schema
from vae_anomaly.tracking import log_training

__all__ = ["TrainTable", "train"]


class Detector(Section):
    """Parameters of `TabularVAEDetector`."""

    score: Literal["fused", "reconstruction", "elbo", "iw_nll", "kl", "latent"] = "fused"
    preset: Literal["fast", "default", "thorough"] = "default"
    model: str = "vae"  # checked by the detector, which names the nearest one it knows
    condition: str | None = None
    beta: float | None = None
    latent_dim: int | None = None
    memory: int | None = None
    max_steps: int | None = None
    target_fpr: float = 0.01
    random_state: int | None = None


class Entities(Section):
    """Columns that name entities (card, customer, machine), and those of time and amount."""

    columns: list[str]
    time: str
    amount: str


class TrainTable(Job):
    """Where the normal rows are, what their columns mean, and what the model is called."""

    name: str
    tables: list[Place]
    schema_file: Place | None = None
    column_kinds: dict[str, str] = Field(default_factory=dict)
    id_column: str | None = None
    label: str | None = None
    groups: str | None = None
    entities: Entities | None = None
    alias: str | None = None
    experiment: str = "vae-anomaly"
    detector: Detector = Detector()


def train(job: TrainTable) -> dict[str, Any]:
    """Fit on the rows that are not labelled as anomalies, log and register."""
    rows, histories = _read(job)
    if job.schema_file is not None:
        schema = read_schema(job.schema_file)
    else:
        kinds = kinds_beside(job.column_kinds, *(job.entities.columns if job.entities else ()))
        schema = Schema.infer(rows, overrides=kinds, label=job.label, id_column=job.id_column)
    if schema.label is not None:
        rows = rows[~rows[schema.label].astype(bool)].reset_index(drop=True)
    detector = TabularVAEDetector(schema=schema, **job.detector.model_dump())
    detector.fit(rows, groups=job.groups)
    detector.entities_ = histories
    model = log_training(
        detector,
        name=job.name,
        experiment=job.experiment,
        alias=job.alias,
        evidence="trained by pipelines.train_table",
        uri=job.tracking_uri,
    )
    return {**asdict(model), "threshold": detector.threshold_.value, "metrics": detector.metrics_}


def _read(job: TrainTable) -> tuple[pd.DataFrame, EntityHistories | None]:
    """Return the rows; with entities, those after the warm-up, with what each is to its past."""
    if job.entities is None:
        return read_table(list(job.tables)), None
    asked = job.entities
    columns = EntityColumns(tuple(asked.columns), asked.time, asked.amount)
    past = read_with_history(list_partitions(list(job.tables)), columns)
    return past.frame, past.histories


if __name__ == "__main__":
    run_job(TrainTable, train)
