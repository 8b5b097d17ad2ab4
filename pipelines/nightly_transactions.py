"""Score one day's transactions.

python -m pipelines.nightly_transactions pipelines/nightly_transactions.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipelines.job import run_job
from pipelines.nightly import Nightly
from pipelines.places import Place, one_or_all
from vae_anomaly.batch import Options, Partition, score_tables
from vae_anomaly.batch.asked import AskedFor, tables_asked_for, tables_in
from vae_anomaly.batch.output.remote import place_to_look_at


class NightlyTransactions(Nightly):
    """What names a row, which histories to go on from, and by what rows are watched."""

    id_column: str | None = None
    group_by: str | None = None
    state: Place | None = None

    def partitions(self) -> Sequence[Partition]:
        """Return the partitions of the input; no model is asked."""
        return tables_in(one_or_all(self.input))

    def asked(self) -> AskedFor:
        """Return what would be scored, and with what."""
        return tables_asked_for(
            self.model, one_or_all(self.input), place_to_look_at(self.output),
            Options(
                id_column=self.id_column, group_by=self.group_by, learn=self.learning()
            ),
            uri=self.tracking_uri, use_cached=self.use_cached_model, state=self.state,
        )  # fmt: skip


def score(job: NightlyTransactions) -> dict[str, Any]:
    """Score what is new; return the counts."""
    return job.done_by(
        score_tables, id_column=job.id_column, group_by=job.group_by, state=job.state
    )


if __name__ == "__main__":
    run_job(NightlyTransactions, score)
