"""Options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = [
    "device_option",
    "json_option",
    "kinds_of",
    "seed_option",
    "table_options",
    "tracking_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Add ``--json``: one JSON document on stdout instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def tracking_option(command: Command) -> Command:
    """Add ``--tracking-uri``: where MLflow keeps runs and models."""
    return click.option(
        "--tracking-uri",
        "uri",
        metavar="URI",
        help="MLflow store.  [default: MLFLOW_TRACKING_URI, else ./vae-anomaly-store]",
    )(command)


def device_option(command: Command) -> Command:
    """Add ``--device``: where networks compute; models of tables stay on the processor."""
    return click.option(
        "--device",
        metavar="WHERE",
        default="cpu",
        show_default=True,
        help="Where a model of pictures computes: cpu, cuda, cuda:N, or auto, a GPU where there "
        "is one.",
    )(command)


def seed_option(command: Command) -> Command:
    """Add ``--seed``: the same seed and input give the same model on the same machine."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
    )(command)


def table_options(command: Command) -> Command:
    """Add what says how tables are read for training: labels, schema, kinds, ids, groups."""
    options = (
        click.option("--label", "--labels", metavar="COLUMN",
                     help="Rows with 1 are left out. COLUMN, or FILE:COLUMN joined by id."),
        click.option("--schema", "schema_file", metavar="FILE", help="An edited `data schema`."),
        click.option("--kind", "kinds", multiple=True, metavar="COLUMN=KIND",
                     help="numeric, categorical, boolean, timestamp, identifier, ignored."),
        click.option("--ignore", multiple=True, metavar="COLUMN",
                     help="Keep a column from the model."),
        click.option("--id-column", metavar="COLUMN", help="Names a row; never read by a model."),
        click.option("--groups", metavar="COLUMN",
                     help="Customer, machine, ...: held out together."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def kinds_of(pairs: tuple[str, ...], ignored: tuple[str, ...]) -> dict[str, str]:
    """Return the kinds that ``--kind`` and ``--ignore`` declare, by column."""
    kinds = {}
    for pair in pairs:
        column, equals, kind = pair.rpartition("=")
        if not equals or not column:
            raise click.BadParameter(
                f"{pair!r} is not COLUMN=KIND. Write for example shop=categorical.",
                param_hint="--kind",
            )
        kinds[column] = kind
    return kinds | dict.fromkeys(ignored, "ignored")
