"""``vae-anomaly feedback learn``: what verdicts teach, put in force or taken out of it."""

from __future__ import annotations

import click

from vae_anomaly.cli.console import emit
from vae_anomaly.cli.options import json_option, threads_option, tracking_option


@click.command()
@click.argument("model")
@click.option("--learn", "columns", multiple=True, metavar="COLUMN",
              help="Column of entities that may count; may be repeated.  "
              "[default: all that nights have kept]")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be learned; store nothing.")
@click.option("--off", is_flag=True, help="Rank by the score alone again, from the next night on.")
@click.option("--who", metavar="NAME", help="For the record.  [default: the user]")
@threads_option
@tracking_option
@json_option
def learn(model: str, columns: tuple[str, ...], dry_run: bool, off: bool, who: str | None,
          uri: str | None, as_json: bool) -> None:  # fmt: skip
    """Learn from all verdicts on items of MODEL, for the nights that `score --learn` scores.

    Everything is learned anew from the nights and verdicts that are stored: a withdrawn import
    leaves no trace. The model and its p-values stay as they are.

    \b
    Examples:
      vae-anomaly feedback learn models:/cards@champion
      vae-anomaly feedback learn models:/cards@champion --learn terminal --dry-run
      vae-anomaly feedback learn models:/cards@champion --off
    """
    if off:
        if dry_run or columns:
            raise click.UsageError("--off stands alone: leave out --dry-run and --learn.")
        _switch_off(model, uri, who, as_json)
        return
    from vae_anomaly.jobs.learning.learn import learn_verdicts
    from vae_anomaly.jobs.learning.words import lesson_lines

    lesson = learn_verdicts(model, columns=columns, dry_run=dry_run, who=who, uri=uri)
    if not emit(lesson.to_dict(), as_json=as_json):
        for line in lesson_lines(lesson):
            click.echo(line)


def _switch_off(model: str, uri: str | None, who: str | None, as_json: bool) -> None:
    from vae_anomaly.tracking import registered_name, withdraw_stage

    name = registered_name(model)
    version = withdraw_stage(name, uri, who)
    if emit({"model": name, "was": version}, as_json=as_json):
        return
    if version is None:
        click.echo(f"Nothing that was learned for {name} is in force.")
        return
    click.echo(
        f"{name}.learned version {version} is no longer in force: `score --learn` ranks by the "
        "score alone, and the model's own threshold flags. `vae-anomaly feedback learn` puts back "
        "what was learned, without a threshold on it."
    )
