"""Score one day's transactions.

python -m pipelines.nightly_transactions pipelines/nightly_transactions.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from typing import Any

from pipelines.job import run_job
from pipelines.nightly import Nightly
from pipelines.places import Place
from vae_anomaly.batch import score_tables


class NightlyTransactions(Nightly):
    """What names a row, which histories to go on from, and by what rows are watched."""

    id_column: str | None = None
    group_by: str | None = None
    state: Place | None = None


def score(job: NightlyTransactions) -> dict[str, Any]:
    """Score what is new; return the counts."""
    return job.done_by(
        score_tables, id_column=job.id_column, group_by=job.group_by, state=job.state
    )


if __name__ == "__main__":
    run_job(NightlyTransactions, score)
