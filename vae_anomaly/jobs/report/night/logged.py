"""What MLflow is told of a night: counts, rates and their intervals, quarantine, what moved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vae_anomaly.batch.drift.summary_file import SUMMARY, Rate, read_summary
from vae_anomaly.batch.output.manifest import MANIFEST
from vae_anomaly.files import sha256_of
from vae_anomaly.tracking.nights import LEARN_FILE, LoggedNight, ScoredNight, log_night

if TYPE_CHECKING:
    from pathlib import Path

    from vae_anomaly.batch import NightSummary, RunSummary
    from vae_anomaly.metrics import Interval

_MOST_COLUMNS: Final = 30
_LONGEST: Final = 100


def log_scored(
    run: RunSummary, page: Path | None, false_alarms: Interval | None, uri: str | Path | None
) -> LoggedNight | None:
    """Log a night by its summary, with its page and what it has kept to learn from, if any.

    Parameters
    ----------
    run : RunSummary
    page : Path, optional
    false_alarms : Interval, optional
        Expected among as many normal items, as the page says.
    uri : str or Path, optional
        The store.
    """
    summary = read_summary(run.out)
    metrics = night_metrics(summary)
    if false_alarms is not None:
        metrics |= _interval("expected_false_alarms", false_alarms)
    night = ScoredNight(
        run.model_version,
        run.model_digest,
        str(run.out.resolve()) if run.place == str(run.out) else run.place,
        sha256_of(run.out / MANIFEST),
        metrics,
        "" if run.learning is None else run.learning.night,
    )
    files = [page, run.out / SUMMARY, run.out / LEARN_FILE if night.learn else None]
    return log_night(night, [file for file in files if file and file.is_file()], uri=uri)


def night_metrics(summary: NightSummary) -> dict[str, float]:
    """Return the numbers of a night by their names in MLflow.

    ``quarantine.CODE`` counts by reason; ``psi.COLUMN`` is the population stability index of the
    columns, or measures of images, that moved most.
    """
    inputs = [check for check in summary.checks if check.family == "inputs"]
    most = sorted(inputs, key=lambda check: -check.size)[:_MOST_COLUMNS]
    known = {"mean_p_value": summary.mean_p_value, "model_age_days": summary.model_age_days}
    return {
        "items_read": float(summary.items_read),
        "items_scored": float(summary.items_scored),
        "flagged": float(summary.items_flagged),
        "quarantined": float(summary.items_quarantined),
        "parts_failed": float(summary.parts_failed),
        "threshold": summary.model.threshold,
        "alarms": float(len(summary.alarms)),
        "moved": float(len(summary.moved)),
        **_rate("flag_rate", summary.flag_rate),
        **_rate("quarantine_rate", summary.quarantine_rate),
        **{name: value for name, value in known.items() if value is not None},
        **{f"quarantine.{_plain(c)}": float(n) for c, n in summary.quarantine_codes.items()},
        **{f"psi.{_plain(check.name)}": check.size for check in most},
    }


def _rate(name: str, rate: Rate) -> dict[str, float]:
    known = {} if rate.estimate is None else {name: rate.estimate}
    return {**known, f"{name}_low": rate.low, f"{name}_high": rate.high}


def _interval(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _plain(name: str) -> str:
    """Return a name that MLflow takes for a metric."""
    return re.sub(r"[^\w\- ]", "_", name, flags=re.ASCII)[:_LONGEST]
