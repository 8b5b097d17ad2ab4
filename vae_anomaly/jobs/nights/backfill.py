"""Score the days of a range: those that were never scored, that failed, or all, one by one.

What is done with a day follows from how it is, as in Airflow 3. Within a day that is scored again
nothing is done twice: only what is new or has changed.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, NamedTuple

from vae_anomaly.batch.output.manifest import MANIFEST
from vae_anomaly.batch.output.remote import place_to_look_at
from vae_anomaly.batch.plan import Partition
from vae_anomaly.batch.runs.found import FoundRun, is_scored_folder, read_state
from vae_anomaly.errors import DataError, VaeAnomalyError
from vae_anomaly.words import number_of, reason_of

DayState = Literal["new", "late", "done", "failed", "unfinished", "running", "no input", "unknown"]
Redo = Literal["none", "failed", "completed"]
DayAction = Literal["score", "skip", "scored", "gave an error"]
REDONE: Final[dict[Redo, tuple[DayState, ...]]] = {
    "none": ("new", "running"),
    "failed": ("new", "running", "failed", "unfinished"),
    "completed": ("new", "running", "failed", "unfinished", "late", "done"),
}
"""The states of days that are scored; one that is running is tried, and says that it is locked."""
WORST_LAST: Final = (0, 6, 4, 3, 75, 69, 74, 5, 2, 1)
"""Exit codes, from all well to nobody knows: a range ends with the one that stands last here."""

logger = logging.getLogger(__name__)


class DayCounts(NamedTuple):
    """What scoring a day gave, in rows or images."""

    rows_out: int
    flagged: int
    quarantined: int


@dataclass(frozen=True)
class DayJob:
    """One day: where it is scored into, how its input is listed, and how it is scored.

    Parameters
    ----------
    day : date
    inputs : sequence of str
        Paths, patterns and addresses.
    out : str or Path
        Output folder, of this day or of several.
    plan : callable
        Returns the partitions of its input; a DataError where there is none.
    score : callable
        Scores it; raises a VaeAnomalyError as `score_tables` does.
    """

    day: date
    inputs: Sequence[str]
    out: str | Path
    plan: Callable[[], Sequence[Partition]]
    score: Callable[[], DayCounts]


@dataclass(frozen=True)
class DayResult:
    """One day of a range, and what became of it.

    Parameters
    ----------
    day : date
    before : str
        How it was: new, late (done, but for files that came later), done, failed, unfinished,
        running, no input, or unknown where a store is away.
    action : str
        What was done, or would be: score, skip, scored, or gave an error.
    why : str
        What makes it what it is, or the error.
    parts : int
        Of its input.
    exit_code : int
        Of the day alone.
    rows_out, flagged, quarantined : int
        Where it was scored.
    """

    day: date
    before: DayState
    action: DayAction
    why: str = ""
    parts: int = 0
    exit_code: int = 0
    rows_out: int = 0
    flagged: int = 0
    quarantined: int = 0


def backfill(
    jobs: Iterable[DayJob],
    redo: Redo = "none",
    *,
    dry_run: bool = False,
    tell: Callable[[DayResult], None] | None = None,
) -> list[DayResult]:
    """Score the days that are to be scored; the failure of one stops no other.

    Parameters
    ----------
    jobs : iterable of DayJob
        In the order of the days.
    redo : {"none", "failed", "completed"}
        Score only days that never were; those that failed or were stopped as well; or all that have
        an input, of which only what is new or has changed is scored.
    dry_run : bool
        Say what would be done, and write nothing.
    tell : callable, optional
        Takes each day when it is done.
    """
    results = []
    for job in jobs:
        result = _state_of(job)
        if result.before in REDONE[redo]:
            planned = DayResult(job.day, result.before, "score", result.why, result.parts)
            result = planned if dry_run else _scored(job, result)
        results.append(result)
        if tell is not None:
            tell(result)
    return results


def worst_of(results: Sequence[DayResult]) -> int:
    """Return the exit code of a range: the worst of its days, as `WORST_LAST` has them.

    A range without any input is one whose input is refused.

    Examples
    --------
    >>> day = date(2026, 3, 1)
    >>> worst_of([DayResult(day, "new", "scored"), DayResult(day, "new", "scored", exit_code=4)])
    4
    """
    if all(result.before == "no input" for result in results):
        return DataError.exit_code
    codes = [result.exit_code for result in results]
    return max(codes, key=lambda code: WORST_LAST.index(code if code in WORST_LAST else 1))


def told_range(results: Sequence[DayResult]) -> str:
    """Say which days of a range went wrong, and what to do; nothing where none did."""
    bad = [result for result in results if result.exit_code]
    if bad:
        return (
            f"{number_of(len(bad), 'day')} of {len(results)} ended with an error, the first "
            f"{bad[0].day}. Mend it, and give the range again with --redo failed."
        )
    if all(result.before == "no input" for result in results):
        return f"No day of the range has an input. The first: {results[0].why}."
    return ""


def _scored(job: DayJob, before: DayResult) -> DayResult:
    """Score a day; what goes wrong is told, and the next one comes."""
    try:
        counts = job.score()
    except VaeAnomalyError as err:
        return _ended(job, before, str(err), err.exit_code)
    except Exception as err:  # one that nobody has foreseen
        logger.exception("%s could not be scored", job.day, extra={"event": "day-failed"})
        return _ended(job, before, f"{type(err).__name__}: {err}", 1)
    return DayResult(job.day, before.before, "scored", "", before.parts, 0, *counts)


def _ended(job: DayJob, before: DayResult, why: str, exit_code: int) -> DayResult:
    return DayResult(job.day, before.before, "gave an error", why, before.parts, exit_code)


def _state_of(job: DayJob) -> DayResult:
    """Say how a day is, from the names of its input and what lies in its folder."""
    try:
        keys = {partition.key for partition in job.plan()}
    except DataError as err:
        is_new: DayState = "new" if any(map(_is_there, job.inputs)) else "no input"
        return DayResult(job.day, is_new, "skip", reason_of(err))
    except VaeAnomalyError as err:  # a store that is away
        return DayResult(job.day, "unknown", "gave an error", str(err), 0, err.exit_code)
    try:
        place = place_to_look_at(job.out)
        if not is_scored_folder(place):
            return DayResult(job.day, "new", "skip", "", len(keys))
        return DayResult(job.day, *_how(read_state(place), keys), len(keys))
    except VaeAnomalyError as err:
        return DayResult(job.day, "unknown", "gave an error", str(err), 0, err.exit_code)


def _is_there(path: str) -> bool:
    """Tell whether something lies there that cannot be listed; of an address nobody knows."""
    if "://" in path:
        return False
    if Path(path).is_dir():
        return any(Path(path).iterdir())
    return Path(path).exists() or bool(glob.glob(path))  # noqa: PTH207 - a pattern from anywhere


def _how(found: FoundRun, keys: set[str]) -> tuple[DayState, DayAction, str]:
    if found.state == "running":
        return "running", "skip", found.why
    failed = sorted(keys & found.failed.keys())
    if failed:
        return "failed", "skip", f"{failed[0]}: {reason_of(found.failed[failed[0]])}"
    lacking = keys - {row.key for row in found.rows}
    if found.state == "damaged":
        return "unfinished", "skip", found.why
    if lacking == keys:
        return "new", "skip", ""
    if found.state == "unfinished" and (lacking or not (found.path / MANIFEST).is_file()):
        return "unfinished", "skip", found.why  # else it is another day that was stopped
    if lacking:
        return "late", "skip", f"{number_of(len(lacking), 'part')} came later"
    return "done", "skip", ""
