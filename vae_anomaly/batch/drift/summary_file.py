"""``summary.json``: what a night gave, in one small document for programs that watch many of them.

Written after the manifest, whose SHA-256 it holds: a summary of other results is refused. All of it
follows from the results, but what stands in ``times``.
"""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vae_anomaly.batch.drift.night import NightDrift, age_in_days
from vae_anomaly.batch.output.manifest import MANIFEST
from vae_anomaly.batch.summary import RunSummary
from vae_anomaly.errors import DataError
from vae_anomaly.files import json_text, leads_out, replace_file, sha256_of
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.monitoring.checks import Family, Level
from vae_anomaly.monitoring.statistics import flag_range
from vae_anomaly.state import first_fault
from vae_anomaly.words import reason_of

SUMMARY: Final = "summary.json"
SUMMARY_VERSION: Final = 1
_MOST_CHECKS: Final = 200
_MOST_BYTES: Final = 4 * 1024**2
_NIGHTS: Final = 0.99  # of normal nights whose number of flags lies in the range that is told

_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Rate = Annotated[float, Field(ge=0, le=1)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(max_length=4096)]


class _Part(BaseModel):
    """A part of the document; what a later version adds is passed over."""

    model_config = ConfigDict(strict=True, frozen=True)


class Rate(_Part):
    """A share with its exact 95 % interval; the estimate is null where there is no item."""

    estimate: _Rate | None
    low: _Rate
    high: _Rate

    @classmethod
    def of(cls, share: Interval) -> Rate:
        """Take an interval."""
        known = math.isfinite(share.estimate)
        return cls(estimate=share.estimate if known else None, low=share.low, high=share.high)


class CheckRecord(_Part):
    """One question to the night, as `vae_anomaly.monitoring.checks.Check` has it."""

    family: Family
    name: _Text
    group: _Text
    size: _Number
    p_value: _Rate | None
    level: Level
    text: _Text


class NightTimes(_Part):
    """When the night was finished, ISO 8601 in UTC, and how long its last run took."""

    finished_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class NightModel(_Part):
    """The model that scored, and its bound on the score."""

    version: _Text
    digest: _Text
    threshold: _Number


class NightSummary(_Part):
    """The document ``summary.json``; docs/operations.md says what each field means."""

    format_version: Literal[1]
    kind: Literal["table", "images"]
    model: NightModel
    manifest: _Digest
    parts: _Count
    parts_failed: _Count
    items_read: _Count
    items_scored: _Count
    items_flagged: _Count
    items_quarantined: _Count
    items_watched: _Count
    quarantine_codes: dict[_Text, _Count]
    flag_rate: Rate
    quarantine_rate: Rate
    normal_flags: tuple[_Count, _Count] | None = Field(strict=False)
    mean_p_value: _Rate | None
    data_until: _Text | None
    model_age_days: _Number | None
    false_alarms: _Rate
    alarms: list[_Text]
    moved: list[_Text]
    notes: list[_Text]
    checks: list[CheckRecord]
    report: Literal["report.html"] | None
    times: NightTimes


def summary_of(
    run: RunSummary, drift: NightDrift, root: Path, *, kind: str, failed: int, false_alarms: float
) -> NightSummary:
    """Put together what a night gave.

    ``failed`` parts could not be scored; ``false_alarms`` is the largest share of quiet nights with
    an alarm.
    """
    rates = ((run.flagged, run.rows_out), (run.quarantined, run.rows_in))
    finished_at = f"{datetime.fromtimestamp(int(time.time()), UTC):%Y-%m-%dT%H:%M:%SZ}"
    flag_rate, quarantine_rate = (Rate.of(proportion_interval(k, n)) for k, n in rates)
    return NightSummary(
        format_version=SUMMARY_VERSION,
        kind="table" if kind == "table" else "images",
        model=NightModel(
            version=run.model_version, digest=run.model_digest, threshold=run.threshold
        ),
        manifest=sha256_of(root / MANIFEST),
        parts=run.partitions,
        parts_failed=failed,
        items_read=run.rows_in,
        items_scored=run.rows_out,
        items_flagged=run.flagged,
        items_quarantined=run.quarantined,
        items_watched=drift.tally.whole.n,
        quarantine_codes=dict(sorted(run.codes.items())),
        flag_rate=flag_rate,
        quarantine_rate=quarantine_rate,
        normal_flags=_normal_flags(drift),
        mean_p_value=_mean_p_value(drift),
        data_until=drift.data_until,
        model_age_days=_age(drift, finished_at),
        false_alarms=false_alarms,
        alarms=[_short(text) for text in drift.alarms],
        moved=[_short(text) for text in drift.moved],
        notes=[_short(text) for text in drift.notes],
        checks=[
            CheckRecord(**{**vars(check), "name": _short(check.name), "text": _short(check.text)})
            for check in drift.checks[:_MOST_CHECKS]
        ],
        report="report.html" if (root / "report.html").is_file() else None,
        times=NightTimes(
            finished_at=finished_at,
            seconds=round(run.seconds, 3),
        ),
    )


def write_summary(summary: NightSummary, root: Path) -> Path:
    """Write the document in one step, unless it is there already but for its times."""
    target = root / SUMMARY
    if _same(_present(target), summary):
        return target
    with replace_file(target) as temporary:
        temporary.write_text(json_text(summary.model_dump(mode="json")), encoding="utf-8")
    return target


def note_report(root: Path) -> None:
    """Say in the summary of a night that its page was drawn."""
    summary = read_summary(root)
    if summary.report is None:
        write_summary(summary.model_copy(update={"report": "report.html"}), root)


def read_summary(out: str | Path) -> NightSummary:
    """Read what the last run wrote of its night.

    Parameters
    ----------
    out : str or Path
        The output folder.

    Raises
    ------
    DataError
        If there is none, it is none that a run has written, leads out of the folder, or is of other
        results than the manifest lists.
    """
    root = Path(out)
    path = root / SUMMARY
    if leads_out(root, SUMMARY):
        raise DataError(f"{path} leads out of the output folder. Remove it and run again.")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"it has more than {_MOST_BYTES:,} bytes")
        summary = NightSummary.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{root} has no {SUMMARY}: the run that writes there has not finished, or an earlier "
            "version has scored. Run it again; what is done is not done twice."
        ) from None
    except (OSError, ValueError, RecursionError) as err:
        reason = first_fault(err) if isinstance(err, ValidationError) else reason_of(err)
        raise DataError(
            f"{path} is no summary that a run has written: {reason}. Run again."
        ) from None
    if not (root / MANIFEST).is_file() or sha256_of(root / MANIFEST) != summary.manifest:
        raise DataError(
            f"{path} is of other results than {MANIFEST} lists: a run was ended between the two. "
            "Run again; what is done is not done twice."
        )
    return summary


def _age(drift: NightDrift, finished_at: str) -> float | None:
    """Return the days from training data to the night; of images, to when the night was scored."""
    if drift.data_until is not None or drift.trained_until is None:
        return drift.age_days
    return age_in_days(drift.trained_until[:10], finished_at[:10])


def _normal_flags(drift: NightDrift) -> tuple[int, int] | None:
    counted = drift.calibration
    if counted is None or not drift.tally.whole.n:
        return None
    return flag_range(drift.tally.whole.n, counted.above, counted.worth, _NIGHTS)


def _mean_p_value(drift: NightDrift) -> float | None:
    bins = drift.tally.whole.p_values
    total = sum(bins)
    return sum((i + 0.5) / len(bins) * n for i, n in enumerate(bins)) / total if total else None


def _short(text: str) -> str:
    return text if len(text) <= 1000 else f"{text[:999]}…"


def _present(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return values
    except (OSError, ValueError, RecursionError):
        return None


def _same(present: dict[str, Any] | None, summary: NightSummary) -> bool:
    if not isinstance(present, dict):
        return False
    wanted = summary.model_dump(mode="json")
    apart: dict[str, Any] = {"times": None}
    if summary.data_until is None:  # the age of the model tells when the night was scored
        apart["model_age_days"] = None
    return {**present, **apart} == {**wanted, **apart}
