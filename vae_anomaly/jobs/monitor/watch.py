"""Say what the last nights tell together, and hand an alarm on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vae_anomaly.batch.drift.summary_file import SUMMARY
from vae_anomaly.jobs.monitor.alarm import (
    command_words,
    post_webhook,
    run_alarm_command,
    shown_host,
)
from vae_anomaly.jobs.monitor.nights import WatchedNight
from vae_anomaly.metrics import Interval
from vae_anomaly.storage.addresses import with_addresses


@dataclass(frozen=True)
class Listeners:
    """Who is told of an alarm: a command, a web address, or nobody.

    What cannot be one is a ConfigError, before any night is read.
    """

    command: str | None = None
    webhook: str | None = None

    def __post_init__(self) -> None:
        if self.command is not None:
            command_words(self.command)
        if self.webhook is not None:
            shown_host(self.webhook)

    def tell(self, nights: Sequence[WatchedNight]) -> bool:
        """Tell of the nights that have an alarm; return whether there was somebody to tell.

        Raises
        ------
        AlarmUndeliveredError
            If one of them did not take it; the other was told all the same.
        """
        loud = [night for night in nights if night.alarms]
        if not loud or (self.command is None and self.webhook is None):
            return False
        document = {"nights": [night_record(night) for night in loud]}
        paths = sorted({str((night.folder / SUMMARY).absolute()) for night in loud})
        try:
            if self.command is not None:
                run_alarm_command(self.command, document, paths)
        finally:
            if self.webhook is not None:
                post_webhook(self.webhook, document)
        return True


def night_record(night: WatchedNight) -> dict[str, Any]:
    """Return a night as a document: what alarms and ``monitor --json`` tell of it."""
    values = asdict(night)
    return {
        **values,
        "folder": with_addresses(str(night.folder.absolute())),
        "alarms": list(night.alarms),
        "moved": list(night.moved),
        **{name: _rate(getattr(night, name)) for name in ("flag_rate", "quarantine_rate")},
        "quarantine_codes": dict(night.quarantine_codes or {}),
        "checks": [asdict(check) for check in night.checks if check.level != "quiet"],
    }


def _rate(rate: Interval) -> dict[str, float | None]:
    """Return a share with its interval; null where there is no item."""
    known = math.isfinite(rate.estimate)
    return {"estimate": rate.estimate if known else None, "low": rate.low, "high": rate.high}


def alarms_of(nights: Sequence[WatchedNight]) -> list[str]:
    """Return the alarms of all nights in words, each with the name of its night."""
    return [f"{night.name}: {text}" for night in nights for text in night.alarms]
