"""``vae-anomaly demo``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import json_option, seed_option
from vae_anomaly.names import typed

if TYPE_CHECKING:
    from vae_anomaly.jobs.demo import DemoReport


@click.command()
@click.option("--out", default="vae-anomaly-demo", show_default=True, help="Folder for everything.")
@seed_option
@json_option
def demo(out: str, seed: int, as_json: bool) -> None:
    """See the whole system work on data that it makes itself.

    Renders surface images and simulates card transactions, trains both detectors on the normal
    part, registers them in MLflow, scores the following nights, tunes a threshold and draws the
    pages that people open in the morning. Takes about two minutes on two cores.

    \b
    Example:
      vae-anomaly demo --out my-demo --seed 7
    """
    from vae_anomaly.jobs.demo import run_demo

    with show_progress() as progress:
        report = run_demo(out, random_state=seed, progress=progress)
    if not emit(asdict(report), as_json=as_json):
        _print(report)


def _print(report: DemoReport) -> None:
    header = ["scored", "items", "flagged", "planted", "found", "false alarms", "seconds"]
    rows = [
        [n.what, *(f"{v:,}" for v in (n.scored, n.flagged, n.planted, n.found, n.false_alarms)),
         f"{n.seconds:.1f}"]
        for n in report.nights
    ]  # fmt: skip
    print_table(rows, header, "The following nights")
    top, folder = report.top_flag, report.folder
    click.echo(f"Strangest transaction: {top['id']} (score {top['score']:.1f}): {top['reasons']}")
    click.echo(f"\nAll of it took {report.seconds:.0f} s and lies in {folder}/")
    click.echo(f"  flags and heatmaps   {folder}/flags/images, {folder}/flags/transactions")
    click.echo(f"  MLflow               mlflow ui --backend-store-uri {typed(report.store)}")
    click.echo("\nTry next:")
    click.echo(
        f"  vae-anomaly inspect {typed(report.models['images'], folder)}/images/test/scratch/*.png "
        f"--html {typed(f'{folder}/scratches.html')} --tracking-uri {typed(report.store)}"
    )
    click.echo("\nOpen these in a browser:")
    width = max(map(len, report.pages))
    for what, page in report.pages.items():
        click.echo(f"  {what:<{width}}   {page}")
