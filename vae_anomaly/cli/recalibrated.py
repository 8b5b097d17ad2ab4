"""What is said of a calibration that was made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.options import at_store
from vae_anomaly.names import typed
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.jobs import RecalibrationReport


def print_recalibrated(done: RecalibrationReport, uri: str | None, *, dry_run: bool) -> None:
    """Say what was flagged before, what will be, and where the model is."""
    record, before, after = done.record, done.flagged_before, done.threshold
    groups = f" in {number_of(record.n_groups, 'group')}" if record.n_groups else ""
    click.echo(f"Scored {record.source}{groups} with {record.of}.")
    for reason, count in done.left_out.items():
        click.echo(f"  not used: {count:,} {reason}")
    click.echo(
        f"Before: {before.estimate:.2%} of them are flagged (95% interval {before.low:.2%} to "
        f"{before.high:.2%})."
    )
    rate = after.expected_fpr
    expect = "" if rate is None else f" (95% interval {rate.low:.2%} to {rate.high:.2%})"
    click.echo(
        f"{'It would be' if dry_run else 'Now'}: {record.target_fpr:.2%} of normals like these, "
        f"above a score of {after.value:.2f}{expect}."
    )
    if after.note:
        click.echo(f"Note: {after.note}")
    if done.lost_probability:
        click.echo("Its probabilities were made for other scores: run `probability fit` again.")
    if not dry_run:
        _print_place(done, uri)


def _print_place(done: RecalibrationReport, uri: str | None) -> None:
    applied = done.applied
    if done.folder is not None:
        click.echo(f"Saved in {done.folder}")
    if applied.version is None:
        return
    name = done.record.of.rpartition("/")[0]
    moved = f", alias {applied.alias} moved to it" if applied.alias else ""
    click.echo(f"Registered {name} version {applied.version}{moved}.")
    if not applied.alias:
        words = ["vae-anomaly", "models", "promote", name, str(applied.version), *at_store(uri)]
        click.echo(f"  put it in force:   {typed(*words)}")
