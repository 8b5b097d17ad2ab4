"""``vae-anomaly threshold``: tune, compare, show and apply the operating point."""

from __future__ import annotations

import click

from vae_anomaly.cli.threshold.compare import compare
from vae_anomaly.cli.threshold.in_force import apply, history, show
from vae_anomaly.cli.threshold.tune import tune


@click.group()
def threshold() -> None:
    """Choose how many alarms to live with, and store that with the model.

    \b
    Examples:
      vae-anomaly threshold show models:/cards@champion
      vae-anomaly threshold tune models:/cards@champion --max-alarms-per-day 20 --volume 9500
      vae-anomaly threshold apply models:/cards@champion threshold.json
      vae-anomaly threshold history cards
    """


for _command in (tune, compare, history, show, apply):
    threshold.add_command(_command)
