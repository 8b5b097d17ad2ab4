"""What the two nightly jobs share: a model, its input, and what ends a night badly."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.job import Job, Place
from vae_anomaly.errors import GateFailedError


class Nightly(Job):
    """Which model scores what, and where the results go."""

    model: Place
    input: Place
    output: Place
    max_bad_fraction: float = 0.05
    workers: int = 1
    use_cached_model: bool = False
    fail_on_anomaly: bool = False

    def check(self, result: Mapping[str, object]) -> None:
        """Refuse a night with flags, where that was asked for."""
        if self.fail_on_anomaly and result["flagged"]:
            raise GateFailedError(
                f"{result['flagged']} of {result['rows_out']} items are flagged and "
                "fail_on_anomaly is true. Look at them, or leave that key out."
            )
