"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path

import click

from vae_anomaly.cli.options.declare import Decorator, add_options, renamed
from vae_anomaly.names import typed
from vae_anomaly.threads import ask_threads

json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document."
)
tracking_option: Decorator = click.option(
    "--tracking-uri", "uri", metavar="URI",
    help="MLflow store.  [default: MLFLOW_TRACKING_URI, else ./vae-anomaly-store]",
)  # fmt: skip


def at_store(uri: str | Path | None) -> list[str]:
    """Return the words that name the same store in the next command, without its password."""
    from vae_anomaly.tracking.store import displayed

    return ["--tracking-uri", displayed(str(uri))] if uri else []


def look_at(store: str) -> str:
    """Say how to look at a store: a server has pages of its own."""
    return store if store.startswith("http") else f"mlflow ui --backend-store-uri {typed(store)}"


def one_or_all(paths: tuple[str, ...]) -> str | list[str]:
    """Return what was named as an input: one path or pattern as it is, several as a list."""
    return paths[0] if len(paths) == 1 else list(paths)


_THREADS = "vae_anomaly.threads"


def _threads(context: click.Context, _: click.Parameter, threads: int | None) -> None:
    if threads is not None:
        ask_threads(threads)
        context.meta[_THREADS] = threads


def given_threads() -> int | None:
    """Return what ``--threads`` of the command that runs was given, if anything."""
    threads: int | None = click.get_current_context().meta.get(_THREADS)
    return threads


threads_option: Decorator = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", is_eager=True, expose_value=False,
    callback=_threads, help="Threads of each process.  [default: OMP_NUM_THREADS, else half of "
    "the cores]",
)  # fmt: skip
seed_option: Decorator = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
state_option: Decorator = click.option(
    "--state", metavar="PATH",
    help="Histories to go on from: output folder of `score table`, or a file of its state/."
    "  [default: the model's]",
)  # fmt: skip


def labels_option(
    help_: str = "Column of labels, or FILE:COLUMN joined by id.",
) -> Decorator:
    """Add ``--labels``: what says which items are anomalies."""
    option = click.option("--labels", metavar="COLUMN", help=help_)
    return add_options([option, renamed("--label", "--labels")])


def groups_option(help_: str = "Items of one group stay together.") -> Decorator:
    """Add ``--groups``: a column whose equal values belong together."""
    option = click.option("--groups", metavar="COLUMN", help=help_)
    return add_options([option, renamed("--group", "--groups")])
