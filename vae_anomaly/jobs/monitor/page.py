"""Draw the page of the last nights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vae_anomaly.jobs.monitor.nights import WatchedNight
from vae_anomaly.reports.facts.monitor import MonitorFacts, NightPoint


def write_monitor(nights: Sequence[WatchedNight], source: str, out: str | Path) -> Path:
    """Write the page of nights, the oldest first, in one step.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    from vae_anomaly.reports.pages.monitor import monitor_page
    from vae_anomaly.reports.pages.page import write_page

    return write_page(monitor_page(monitor_facts(nights, source)), out)


def monitor_facts(nights: Sequence[WatchedNight], source: str) -> MonitorFacts:
    """Return what the page shows of nights."""
    notes = tuple(sorted({note for night in nights for note in night.notes}))
    return MonitorFacts(source, tuple(map(_point, nights)), notes)


def _point(night: WatchedNight) -> NightPoint:
    inputs = [check for check in night.checks if check.family == "inputs"]
    return NightPoint(
        name=night.name,
        model=night.model,
        when=night.data_until or night.finished_at,
        n_read=night.items_read,
        n_flagged=night.items_flagged,
        flag_rate=night.flag_rate,
        quarantine_rate=night.quarantine_rate,
        normal_rate=night.normal_rate,
        age_days=night.age_days,
        alarms=night.alarms,
        moved=night.moved,
        stability={check.name: check.size for check in inputs},
    )
