"""Train the tabular detector on normal rows and register it.

python -m pipelines.train_table pipelines/train_table.toml
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from pipelines.challenger import Challenger, challenged
from pipelines.job import run_job
from pipelines.places import Place
from pipelines.training import Labels, TableParameters, outcome
from vae_anomaly import TabularVAEDetector
from vae_anomaly.data.tables.entity_histories import EntityColumns
from vae_anomaly.jobs import (
    SAMPLE_ROWS,
    Asked,
    TableColumns,
    challenge_table_job,
    read_schema,
    train_table_job,
)


def _words(value: object) -> list[object]:
    """Take one word or number for a list of one, and numbers for what their cells say."""
    words = value if isinstance(value, list) else [value]
    return [f"{word:.17g}" if isinstance(word, int | float) else word for word in words]


Words = Annotated[list[str], BeforeValidator(_words)]


class Entities(BaseModel, extra="forbid"):
    """Columns that name entities (card, customer, machine), and those of time and amount."""

    columns: list[str]
    time: str
    amount: str

    def declared(self) -> EntityColumns:
        """Return them as the job takes them."""
        return EntityColumns(tuple(self.columns), self.time, self.amount)


class TrainTable(Challenger):
    """Where the normal rows are, what their columns mean, and what is asked of the detector."""

    tables: list[Place]
    schema_file: Place | None = None
    column_kinds: dict[str, str] = Field(default_factory=dict)
    ignore: list[str] = Field(default_factory=list)
    number_formats: dict[str, str] = Field(default_factory=dict)
    time_formats: dict[str, str] = Field(default_factory=dict)
    missing: dict[str, Words] = Field(default_factory=dict)
    id_column: str | None = None
    labels: Labels | None = Field(None, validation_alias=AliasChoices("labels", "label"))
    groups: str | None = None
    sample_rows: int = SAMPLE_ROWS
    entities: Entities | None = None
    detector: TableParameters = Field(default_factory=dict)


def train(job: TrainTable) -> dict[str, Any]:
    """Train on the rows that are not labelled as anomalies, save and register."""
    schema = read_schema(job.schema_file) if job.schema_file else None
    detector, place = TabularVAEDetector(**job.detector), job.destination("pipelines.train_table")
    place.begin(detector, job.warm_start)
    columns = TableColumns(
        schema,
        dict.fromkeys(job.ignore, "ignored") | job.column_kinds,
        job.labels,
        job.id_column,
        job.groups,
        job.number_formats,
        job.time_formats,
        job.missing,
    )
    entities = job.entities.declared() if job.entities else None
    rest: dict[str, Any] = {
        "sample_rows": job.sample_rows,
        "entities": entities,
        "leave_out": job.confirmed(),
    }
    plan = job.plan(Asked("", labels=job.labels, groups=job.groups))
    if plan is not None:
        return challenged(challenge_table_job(detector, job.tables, place, plan, columns, **rest))
    return outcome(train_table_job(detector, job.tables, place, columns, **rest))


if __name__ == "__main__":
    run_job(TrainTable, train)
