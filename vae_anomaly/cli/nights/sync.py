"""``vae-anomaly runs sync``."""

from __future__ import annotations

from dataclasses import asdict

import click

from vae_anomaly.cli.console import emit, print_table
from vae_anomaly.cli.options import json_option, tracking_option
from vae_anomaly.errors import DataError
from vae_anomaly.words import number_of, verb_for


@click.command()
@click.option("--spool", metavar="DIR", help="Where records wait.  [default: spool/ of the store]")
@tracking_option
@json_option
def sync(spool: str | None, uri: str | None, as_json: bool) -> None:
    """Log to MLflow what an outage left on the disk: trainings, sweeps and nights.

    The oldest first; each record is removed when all of it is there. Where the store is still away
    (exit code 69) the rest stays. A damaged record stays and is named (exit code 3).

    \b
    Examples:
      vae-anomaly runs sync
      vae-anomaly runs sync --tracking-uri https://mlflow.example.com
    """
    from vae_anomaly.tracking.spooled import sync_spool

    synced = sync_spool(uri, spool)
    stayed = [one for one in synced if one.run_id is None]
    document = [{**asdict(one), "record": str(one.record)} for one in synced]
    if not emit({"records": document}, as_json=as_json):
        if not synced:
            click.echo("No record waits: everything is in MLflow.")
        else:
            rows = [[one.kind, one.record.name, one.run_id or f"stays: {one.reason}"]
                    for one in synced]  # fmt: skip
            print_table(rows, ["what", "record", "MLflow run"], "What waited on the disk")
    if stayed:
        raise DataError(
            f"{number_of(len(stayed), 'record')} of {len(synced)} "
            f"{verb_for(len(stayed), 'stays', 'stay')} on the disk; the first, {stayed[0].record}: "
            f"{stayed[0].reason}."
        )
