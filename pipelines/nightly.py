"""What the two nightly jobs share: a model, its input, and what ends a night badly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from typing import Any, cast

from pydantic import Field

from pipelines.arguments import Arguments
from pipelines.days import score_days
from pipelines.job import Job, read_job
from pipelines.places import Day, Names, Place, Places, one_or_all
from vae_anomaly.batch import Partition, RunSummary
from vae_anomaly.batch.asked import AskedFor
from vae_anomaly.batch.engines.choice import EngineName
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.preview import preview_run
from vae_anomaly.batch.runs.command import Ending, ending_as
from vae_anomaly.batch.summary import require_no_drift
from vae_anomaly.errors import GateFailedError
from vae_anomaly.jobs.report.night.facts import Wanted
from vae_anomaly.jobs.report.night.write import ReportAtEnd
from vae_anomaly.monitoring.checks import Limits


class Nightly(Job):
    """Which model scores what, and where the results go."""

    model: Place
    input: Places
    output: Place
    max_bad_fraction: float = 0.05
    workers: int = 1
    engine: EngineName = "local"
    use_cached_model: bool = False
    fail_on_anomaly: bool = False
    fail_on_drift: bool = False
    max_flag_rate: float | None = None
    report: bool = True
    learn: Names | None = None
    night: Day = Field("{date}", validate_default=True)

    def check(self, result: Mapping[str, object]) -> None:
        """Refuse a night with flags, or one that is unlike the training, where that was asked."""
        if self.fail_on_anomaly and result["flagged"]:
            raise GateFailedError(
                f"{result['flagged']} of {result['rows_out']} items are flagged and "
                "fail_on_anomaly is true. Look at them, or leave that key out."
            )
        if self.fail_on_drift:
            require_no_drift(cast(tuple[str, ...], result["alarms"]), self.output)

    @classmethod
    def over_days(cls, asked: Arguments, run: Callable[..., Any]) -> tuple[dict[str, Any], int]:
        """Score a range of days, or say what one night or a range would do."""
        if asked.is_range:
            return score_days(partial(read_job, cls, asked.file, sets=asked.sets), asked, run)
        job = read_job(cls, asked.file, f"{asked.days[0]}", asked.sets)
        return {"dry_run": True, **asdict(preview_run(job.asked(), job.output))}, 0

    def partitions(self) -> Sequence[Partition]:
        """Return the partitions of the input; no model is asked."""
        raise NotImplementedError

    def asked(self) -> AskedFor:
        """Return what would be scored, and with what."""
        raise NotImplementedError

    def learning(self) -> LearnOptions | None:
        """Return what is learned by; a night that is today's may go on with an earlier run's."""
        return LearnOptions.of(self.learn, self._night())

    def _night(self) -> str | None:
        is_today = self.night == date.today().isoformat()
        return None if self.learn is None or is_today else self.night

    def done_by(self, score: Callable[..., RunSummary], **own: Any) -> dict[str, Any]:
        """Score what is new with the keys of every night and those of this one; return counts."""
        page = self._page()
        ending = Ending(self.report, self.fail_on_anomaly, self.fail_on_drift, self.threads)
        with ending_as(ending):
            summary = score(
                self.model, one_or_all(self.input), self.output,
                max_bad_fraction=self.max_bad_fraction, workers=self.workers, engine=self.engine,
                uri=self.tracking_uri, use_cached=self.use_cached_model, finished=page,
                limits=Limits(max_flag_rate=self.max_flag_rate), learn=self.learn,
                night=self._night(), **own,
            )  # fmt: skip
        written = None if page is None or page.path is None else str(page.path)
        return {**summary.record(), "report": written}

    def _page(self) -> ReportAtEnd | None:
        """Return what writes the page when the night is scored, and logs it, as it is wanted."""
        if not self.report and self.learn is None:
            return None
        return ReportAtEnd(Wanted(self.model, self.tracking_uri, verify=False), draws=self.report)
