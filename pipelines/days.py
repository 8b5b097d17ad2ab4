"""Score the days of a range by a nightly job, or say what that would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Protocol

from pipelines.arguments import Arguments
from vae_anomaly.batch import Partition
from vae_anomaly.jobs.nights.backfill import DayCounts, DayJob, backfill, told_range, worst_of
from vae_anomaly.logs import tell_error

Score = Callable[[Any], dict[str, Any]]


class Night(Protocol):
    """A job of one day."""

    input: list[str]
    output: str

    def partitions(self) -> Sequence[Partition]:
        """Return the partitions of its input."""

    def check(self, result: Mapping[str, object]) -> None:
        """Refuse a result that it is not to end well with."""


def score_days(
    read: Callable[[str], Night], asked: Arguments, score: Score
) -> tuple[dict[str, Any], int]:
    """Return what became of every day, and the exit code: the worst of the days."""
    jobs = [_of_day(read(f"{day}"), day, score) for day in asked.days]
    results = backfill(jobs, asked.redo, dry_run=asked.dry_run)
    code = worst_of(results)
    if message := told_range(results):
        tell_error(message, code)
    days = [{**asdict(result), "day": f"{result.day}"} for result in results]
    return {"dry_run": asked.dry_run, "exit_code": code, "days": days}, code


def _of_day(job: Night, day: date, score: Score) -> DayJob:
    def done() -> DayCounts:
        result = score(job)
        job.check(result)
        return DayCounts(*(int(result[name]) for name in DayCounts._fields))

    return DayJob(day, job.input, job.output, job.partitions, done)
