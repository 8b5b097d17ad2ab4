"""``vae-anomaly feedback``: reviewers' verdicts, and what is learned from them."""

from __future__ import annotations

import click

from vae_anomaly.cli.feedback.learn import learn
from vae_anomaly.cli.feedback.sample import sample
from vae_anomaly.cli.feedback.verdicts import import_, show, withdraw


@click.group()
def feedback() -> None:
    """Keep what reviewers said of flagged items, for `threshold tune --feedback`.

    \b
    Examples:
      vae-anomaly feedback sample models:/cards@champion --scores flags/ --out decisions.csv
      vae-anomaly feedback import models:/cards@champion decisions.csv --who Ada
    """


for _command in (sample, import_, show, withdraw, learn):
    feedback.add_command(_command)
