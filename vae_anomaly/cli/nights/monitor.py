"""``vae-anomaly monitor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, print_words
from vae_anomaly.cli.options import json_option
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.jobs.monitor.nights import WatchedNight
    from vae_anomaly.metrics import Interval

MAX_TOLD = 12


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="DIR...")
@click.option("--last", type=click.IntRange(min=1), default=30, show_default=True, metavar="N",
              help="Nights that are shown.")  # fmt: skip
@click.option("--max-flag-rate", type=click.FloatRange(0, 1), metavar="SHARE",
              help="More flags than this are an alarm.  [default: as it was scored]")  # fmt: skip
@click.option("--max-quarantine-rate", type=click.FloatRange(0, 1), metavar="SHARE",
              help="More items in quarantine are an alarm.  [default: likewise]")  # fmt: skip
@click.option("--fail-on-drift", is_flag=True,
              help="Exit code 6 when one of these nights has an alarm.")  # fmt: skip
@click.option(
    "--alarm-command",
    metavar="CMD",
    help="Run it on an alarm, with paths of summaries; JSON on its input.",
)
@click.option("--webhook", metavar="URL", envvar="VAE_ANOMALY_WEBHOOK",
              help="Post an alarm there as JSON.  [env: VAE_ANOMALY_WEBHOOK]")  # fmt: skip
@click.option("--report", metavar="FILE", help="Draw a page of these nights, as HTML.")
@json_option
def monitor(
    folders: tuple[str, ...], last: int, max_flag_rate: float | None,
    max_quarantine_rate: float | None, fail_on_drift: bool, alarm_command: str | None,
    webhook: str | None, report: str | None, as_json: bool,
) -> None:  # fmt: skip
    """See how the last nights went, and whether anything has moved since the training.

    DIR are output folders of `score`, or folders that hold some. Nights of one folder are told
    apart by what was new to each.

    \b
    Examples:
      vae-anomaly monitor flags/
      vae-anomaly monitor nights/ --last 14 --report nights.html
      vae-anomaly monitor flags/ --last 1 --fail-on-drift --alarm-command 'mail -s drift ada'
    """
    from vae_anomaly.batch.summary import require_no_drift
    from vae_anomaly.jobs.monitor.nights import last_nights
    from vae_anomaly.jobs.monitor.page import write_monitor
    from vae_anomaly.jobs.monitor.watch import Listeners, alarms_of, night_record
    from vae_anomaly.monitoring.checks import Limits

    listeners = Listeners(alarm_command, webhook)
    rates = max_flag_rate, max_quarantine_rate
    limits = Limits(max_flag_rate=rates[0], max_quarantine_rate=rates[1]) if any(
        rate is not None for rate in rates) else None  # fmt: skip
    nights = last_nights(folders, last=last, limits=limits)
    if not emit({"nights": [night_record(night) for night in nights]}, as_json=as_json):
        _print(nights)
    if report is not None:
        written = write_monitor(nights, ", ".join(folders), report)
        click.echo(f"Report: {written}", err=as_json)
    if listeners.tell(nights):
        click.echo("The alarm was handed on.", err=True)
    if fail_on_drift:
        require_no_drift(alarms_of(nights), folders[0])


def _print(nights: list[WatchedNight]) -> None:
    header = ["night", "model", "items", "flagged", "normal", "not scored", "age, days", "state"]
    print_table([_row(night) for night in nights], header)
    told = [(night, kind, text) for night in nights
            for kind, texts in (("alarm", night.alarms), ("moved", night.moved))
            for text in texts]  # fmt: skip
    for night, kind, text in told[-MAX_TOLD:]:
        print_words(f"{night.name}: {kind}: {text}.")
    if len(told) > MAX_TOLD:
        print_words(f"And {len(told) - MAX_TOLD} of earlier nights: --json has all.")
    for note in sorted({note for night in nights for note in night.notes}):
        print_words(f"Note: {note}.")


def _share(rate: Interval) -> str:
    return f"{rate.estimate:.2%}" if rate.estimate == rate.estimate else "-"


def _row(night: WatchedNight) -> list[str]:
    usual = night.normal_rate
    if night.alarms:
        state = number_of(len(night.alarms), "alarm")
    else:
        state = "moved" if night.moved else "quiet"
    return [
        night.name,
        night.model,
        f"{night.items_read:,}",
        _share(night.flag_rate),
        "-" if usual is None else f"{usual[0]:.2%} to {usual[1]:.2%}",
        _share(night.quarantine_rate),
        "-" if night.age_days is None else f"{night.age_days:.0f}",
        state,
    ]
