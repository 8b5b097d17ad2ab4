"""``vae-anomaly config``: what a job is told, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import click

from vae_anomaly.cli.console import emit, print_table
from vae_anomaly.cli.options import json_option
from vae_anomaly.errors import MissingExtraError
from vae_anomaly.words import names_of, number_of

CHECKS = "vae_anomaly.checks"
"""Entry points that read the files of jobs: the package itself knows no job."""


@click.group()
def config() -> None:
    """Look at the TOML files of jobs.

    \b
    Example:
      vae-anomaly config check pipelines/nightly_images.toml
    """


@config.command()
@click.argument("file", metavar="FILE")
@click.option("--job", metavar="JOB", help="What it is for.  [default: what it is called like]")
@click.option("--date", "day", metavar="YYYY-MM-DD", help="What {date} stands for.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE",
              help="As given to the job: over environment and file; repeatable.")  # fmt: skip
@json_option
def check(
    file: str, job: str | None, day: str | None, sets: tuple[str, ...], as_json: bool
) -> None:
    """Read the TOML file of a job as the job would; print each value and where it comes from.

    A value comes from --set, else from the environment (VAE_ANOMALY_WORKERS for workers,
    VAE_ANOMALY_DETECTOR__PRESET for preset in [detector]), else from the file, else it is the
    default. Every mistake is named (exit code 2).

    \b
    Examples:
      vae-anomaly config check pipelines/nightly_images.toml
      vae-anomaly config check night.toml --job nightly_images --set workers=4
    """
    told = _checker()(file, job, day, sets)
    if emit(told, as_json=as_json):
        return
    rows = [[one["key"], _written(one["value"]), one["source"]] for one in told["values"]]
    print_table(rows, ["key", "value", "from"])
    n_default = sum(one["source"] == "default" for one in told["values"])
    click.echo(
        f"{told['file']} is valid for pipelines.{told['job']}: {number_of(len(rows), 'value')}, "
        f"{n_default} of them defaults."
    )
    if told["unused"]:
        click.echo(f"Of no use to this job: {names_of(told['unused'], 10)}.")


def _checker() -> Callable[..., dict[str, Any]]:
    from importlib.metadata import entry_points

    found = entry_points(group=CHECKS, name="pipelines")
    if not found:
        raise MissingExtraError(
            "The jobs of pipelines/ are not installed with this package. Install it again, or run "
            "python -m pipelines.check FILE.toml where they lie."
        )
    return cast(Callable[..., dict[str, Any]], next(iter(found)).load())


def _written(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "[]"
    return str(value).lower() if isinstance(value, bool) else str(value)
