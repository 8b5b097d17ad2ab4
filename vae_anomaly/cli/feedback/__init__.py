"""``vae-anomaly feedback``: reviewers' verdicts, and what is learned from them."""

from __future__ import annotations

import click

from vae_anomaly.cli.feedback.learn import learn
from vae_anomaly.cli.feedback.sample import sample
from vae_anomaly.cli.feedback.verdicts import import_, show, withdraw


@click.group()
def feedback() -> None:
    """Keep what reviewers said of items, learn from it, and tune thresholds by it.

    \b
    Examples:
      vae-anomaly feedback sample flags/ --out decisions.csv
      vae-anomaly feedback import models:/cards@champion decisions.csv --who Ada
      vae-anomaly feedback learn models:/cards@champion
    """


for _command in (sample, import_, show, withdraw, learn):
    feedback.add_command(_command)
