"""Look at the last nights, draw their page, and hand an alarm on.

python -m pipelines.monitor pipelines/monitor.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import Field, SecretStr

from pipelines.job import Job, run_job
from pipelines.places import Place, Places
from vae_anomaly.batch.summary import require_no_drift
from vae_anomaly.jobs.monitor.nights import LAST, last_nights
from vae_anomaly.jobs.monitor.page import write_monitor
from vae_anomaly.jobs.monitor.watch import Listeners, alarms_of, night_record
from vae_anomaly.monitoring.checks import Limits

Rate = Annotated[float, Field(ge=0, le=1)]


class Monitor(Job):
    """Which output folders, how many nights, what is too much, and who is told."""

    folders: Places = Field(min_length=1)
    last: Annotated[int, Field(ge=1)] = LAST
    max_flag_rate: Rate | None = None
    max_quarantine_rate: Rate | None = None
    fail_on_drift: bool = False
    alarm_command: str | None = None
    webhook: SecretStr | None = None  # its path may hold a secret: it is shown nowhere
    report: Place | None = None

    def check(self, result: Mapping[str, object]) -> None:
        """Refuse nights with an alarm, where that was asked."""
        if self.fail_on_drift:
            require_no_drift(cast(list[str], result["alarms"]), self.folders[0])

    def limits(self) -> Limits | None:
        """Return what is too much; None where each night is judged as it was scored."""
        rates = self.max_flag_rate, self.max_quarantine_rate
        if rates == (None, None):
            return None
        return Limits(max_flag_rate=rates[0], max_quarantine_rate=rates[1])


def watch(job: Monitor) -> dict[str, Any]:
    """Read the last nights, draw them, and tell who listens of an alarm; return the nights."""
    webhook = None if job.webhook is None else job.webhook.get_secret_value()
    listeners = Listeners(job.alarm_command, webhook)
    nights = last_nights(job.folders, last=job.last, limits=job.limits())
    page = None
    if job.report is not None:
        page = str(write_monitor(nights, ", ".join(job.folders), job.report))
    handed_on = listeners.tell(nights)
    return {
        "nights": [night_record(night) for night in nights],
        "alarms": alarms_of(nights),
        "report": page,
        "handed_on": handed_on,
    }


if __name__ == "__main__":
    run_job(Monitor, watch)
