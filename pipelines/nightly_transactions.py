"""Score one day's transactions.

python -m pipelines.nightly_transactions pipelines/nightly_transactions.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.job import Place, run_job
from pipelines.nightly import Nightly
from vae_anomaly.batch import score_tables


class NightlyTransactions(Nightly):
    """What names a row, and which histories to go on from."""

    id_column: str | None = None
    state: Place | None = None


def score(job: NightlyTransactions) -> dict[str, Any]:
    """Score what is new; return the counts."""
    summary = score_tables(
        job.model,
        job.input,
        job.output,
        id_column=job.id_column,
        state=job.state,
        max_bad_fraction=job.max_bad_fraction,
        workers=job.workers,
        uri=job.tracking_uri,
        use_cached=job.use_cached_model,
    )
    return asdict(summary)


if __name__ == "__main__":
    run_job(NightlyTransactions, score)
