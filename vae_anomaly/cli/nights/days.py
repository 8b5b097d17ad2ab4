"""Dates in the paths of ``score``, and what is printed of a range of days."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table
from vae_anomaly.cli.options import bundle
from vae_anomaly.logs import tell_error
from vae_anomaly.words import number_of, reason_of, shortened, verb_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vae_anomaly.jobs.nights.backfill import DayResult, Redo

MAX_WHY = 100
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@dataclass(frozen=True)
class Dates:
    """The day that is scored, or the first and last of a range."""

    day: datetime | None
    first: datetime | None
    last: datetime | None
    redo: Redo | None

    @property
    def is_range(self) -> bool:
        """Whether several days are asked for."""
        return self.first is not None

    def check(self, paths: Sequence[str], out: str, *, learns: bool = False) -> None:
        """Refuse dates that no path takes, and halves of a range.

        With ``learns`` a date is also the night that items belong to.
        """
        from vae_anomaly.jobs.nights.dates import has_date

        if (self.first is None) != (self.last is None):
            raise click.UsageError("A range has two ends. Give both --from and --to.")
        if self.is_range and self.day is not None:
            raise click.UsageError("Give one day with --date, or a range with --from and --to.")
        if self.redo is not None and not self.is_range:
            raise click.UsageError("--redo is for a range of days. Give --from and --to as well.")
        if self.is_range and not any(map(has_date, paths)):
            raise click.UsageError(
                "Every day of a range has an input of its own. Write {date} in INPUT, as in "
                "'days/{date}.csv'."
            )
        if self.day is not None and not learns and not any(map(has_date, [*paths, out])):
            raise click.UsageError(
                "--date goes into INPUT and --out where these have {date}, and none has; with "
                "--learn it is the night as well."
            )

    def the_day(self) -> date:
        """Return the one day: today, unless another was given."""
        return date.today() if self.day is None else self.day.date()

    def night(self, day: date) -> date | None:
        """Return the night that items belong to, where it is not just today."""
        return None if self.day is None and not self.is_range else day

    def all_days(self) -> list[date]:
        """Return the days of the range."""
        from vae_anomaly.jobs.nights.dates import days_from_to

        assert self.first is not None  # noqa: S101 - it is a range
        assert self.last is not None  # noqa: S101 - and checked
        return days_from_to(self.first.date(), self.last.date())


date_options = bundle(
    "dates",
    Dates,
    click.option("--date", "day", type=_DAY, metavar="YYYY-MM-DD",
                 help="What {date} in INPUT and --out stands for.  [default: today]"),
    click.option("--from", "first", type=_DAY, metavar="YYYY-MM-DD",
                 help="Score every day from this one on; with --to."),
    click.option("--to", "last", type=_DAY, metavar="YYYY-MM-DD", help="The last of these days."),
    click.option("--redo", type=click.Choice(["none", "failed", "completed"]),
                 help="Of a range, score again days that failed, or all.  [default: none]"),
)  # fmt: skip


def told_day(result: DayResult) -> None:
    """Tell on stderr how one day ended, when it did; nothing of those that are left as they are."""
    if result.exit_code:
        tell_error(f"{result.day}: {result.why}", result.exit_code)
    elif result.action == "scored":
        click.echo(
            f"{result.day}: {result.rows_out:,} scored, {result.flagged:,} flagged", err=True
        )


def told_days(results: Sequence[DayResult], *, dry_run: bool, as_json: bool) -> int:
    """Print what became of a range; return its exit code, the worst of its days."""
    from vae_anomaly.jobs.nights.backfill import told_range, worst_of

    code = worst_of(results)
    document = {"dry_run": dry_run, "exit_code": code, "days": list(map(_record, results))}
    if not emit(document, as_json=as_json):
        header = ["day", "was", "now", "items", "flagged", "not scored", "exit", "why"]
        print_table(list(map(_line, results)), header)
        click.echo(_summed(results, dry_run=dry_run))
    if message := told_range(results):
        tell_error(message, code)
    return code


def _record(result: DayResult) -> dict[str, Any]:
    return {**asdict(result), "day": result.day.isoformat()}


def _line(result: DayResult) -> list[str]:
    is_scored = result.action == "scored"
    counts = [result.rows_out, result.flagged, result.quarantined]
    would = {"score": "would be scored", "skip": "left as it is"}.get(result.action, result.action)
    return [
        result.day.isoformat(), result.before, would,
        *(f"{n:,}" if is_scored else "-" for n in counts), str(result.exit_code),
        shortened(reason_of(result.why), MAX_WHY),
    ]  # fmt: skip


def _summed(results: Sequence[DayResult], *, dry_run: bool) -> str:
    action = "score" if dry_run else "scored"
    n_scored = sum(result.action == action for result in results)
    n_without = sum(result.before == "no input" for result in results)
    beside = f", {n_without} without an input" * bool(n_without)
    if dry_run:
        return (
            f"Dry run, nothing is written: {n_scored} of {number_of(len(results), 'day')} would be "
            f"scored{beside}."
        )
    was = verb_for(n_scored, "was", "were")
    return f"{n_scored} of {number_of(len(results), 'day')} {was} scored{beside}."
