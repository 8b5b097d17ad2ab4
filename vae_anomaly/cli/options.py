"""Options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["json_option", "seed_option", "tracking_option"]

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


def seed_option(command: Command) -> Command:
    """Add ``--seed``: the same seed and input give the same model on the same machine."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
    )(command)
