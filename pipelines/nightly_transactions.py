"""Score one day's transactions.

python -m pipelines.nightly_transactions pipelines/nightly_transactions.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.job import Job, Place, run_job
from vae_anomaly.batch import score_tables

__all__ = ["NightlyTransactions", "score"]


class NightlyTransactions(Job):
    """Which model scores which tables, and where the results go."""

    model: Place
    input: Place
    output: Place
    id_column: str | None = None
    max_bad_fraction: float = 0.05
    workers: int = 1
    use_cached_model: bool = False


def score(job: NightlyTransactions) -> dict[str, Any]:
    """Score what is new; return the counts."""
    summary = score_tables(
        job.model,
        job.input,
        job.output,
        id_column=job.id_column,
        max_bad_fraction=job.max_bad_fraction,
        workers=job.workers,
        uri=job.tracking_uri,
        use_cached=job.use_cached_model,
    )
    return asdict(summary)


if __name__ == "__main__":
    run_job(NightlyTransactions, score)
