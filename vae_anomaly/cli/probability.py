"""``vae-anomaly probability``: probabilities where labels exist, checked on items left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import (
    at_store,
    class_options,
    groups_option,
    image_options,
    json_option,
    labels_option,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.names import typed
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.scoring.probability import ScoreProbability

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.group()
def probability() -> None:
    """Say how likely an item is an anomaly, where labelled items exist to learn it from.

    \b
    Examples:
      vae-anomaly probability fit models:/cards@champion days/ --labels labels.parquet:is_fraud
      vae-anomaly probability apply models:/cards@champion probability.json
    """


@probability.command()
@click.argument("model")
@click.argument("input_", metavar="INPUT")
@labels_option()
@groups_option()
@class_options
@click.option(
    "--method",
    type=click.Choice(["isotonic", "sigmoid"]),
    default="isotonic",
    show_default=True,
    help="Steps, or a sigmoid where anomalies are few.",
)
@click.option(
    "--base-rate",
    type=SHARE,
    metavar="SHARE",
    help="Share of anomalies where it will be used, if not that of INPUT.",
)
@click.option(
    "--out",
    metavar="FILE",
    default="probability.json",
    show_default=True,
    help="Where the map is written.",
)
@click.option("--figure", metavar="FILE", help="Draw the reliability there, as PNG.")
@state_option
@image_options
@threads_option
@tracking_option
@json_option
def fit(model: str, input_: str, labels: str | None, groups: str | None, classes: ClassNames,
        method: str,
        base_rate: float | None, out: str, figure: str | None, state: str | None,
        follow_links: bool, reading: ImageReading, uri: str | None,
        as_json: bool) -> None:  # fmt: skip
    """Learn from labelled INPUT how likely an item of each score is an anomaly.

    INPUT must be new to MODEL. The Brier score and the reliability are measured on items left out.
    Probabilities hold where anomalies are as frequent as in INPUT, or as --base-rate says.

    \b
    Examples:
      vae-anomaly probability fit models:/cards@champion days/ --labels labels.parquet:is_fraud
      vae-anomaly probability fit models:/press@champion week.csv --labels defect \\
          --base-rate 0.001 --figure reliability.png
    """
    from vae_anomaly.evaluation import fit_probability, score_items
    from vae_anomaly.reports import reliability_figure, write_figure, write_json
    from vae_anomaly.tracking import load

    detector, resolved = load(model, uri)
    with show_progress() as progress:
        items = score_items(
            detector,
            input_,
            labels=labels,
            groups=groups,
            state=state,
            classes=classes,
            follow_links=follow_links,
            reading=reading,
            progress=progress,
        )
    fitted = fit_probability(items, resolved, method=method, base_rate=base_rate)  # type: ignore[arg-type]  # click checked it
    files = [write_json(fitted.to_dict(), out)]
    if figure:
        files.append(write_figure(reliability_figure(fitted), figure))
    document = {
        "model": resolved.label,
        "probability": fitted.to_dict(),
        "written": list(map(str, files)),
    }
    if not emit(document, as_json=as_json):
        _print(fitted, resolved.label)
        click.echo("".join(f"wrote {file}\n" for file in files), nl=False)
        after = typed("vae-anomaly", "probability", "apply", model, out, *at_store(uri))
        click.echo(f"\nNext: {after}")


@probability.command()
@click.argument("model")
@click.argument("file", type=click.Path())
@click.option("--alias", metavar="NAME", help="Alias to move.  [default: the one in MODEL]")
@click.option("--dry-run", is_flag=True, help="Check only; change nothing.")
@tracking_option
@json_option
def apply(model: str, file: str, alias: str | None, dry_run: bool, uri: str | None,
          as_json: bool) -> None:  # fmt: skip
    """Store the probabilities in FILE with MODEL, for `predict_proba`; scores and flags stay.

    A registered model gets a new version, and the alias moves to it, on the record; a model folder
    is changed in place. A map made for another model is refused (exit code 5).

    \b
    Example:
      vae-anomaly probability apply models:/cards@champion probability.json
    """
    from vae_anomaly.evaluation import apply_probability
    from vae_anomaly.scoring.probability import ScoreProbability

    fitted = ScoreProbability.load(file)
    done = apply_probability(model, fitted, uri=uri, alias=alias, dry_run=dry_run)
    document = {**vars(done), "dry_run": dry_run}
    if emit(document, as_json=as_json):
        return
    has = "would have" if dry_run else "has"
    click.echo(f"{done.model} {has} predict_proba, for {_rate(fitted.base_rate)} of anomalies")
    if done.version:
        click.echo(f"registered as version {done.version}"
                   + (f", alias {done.alias} moved to it" if done.alias else ""))  # fmt: skip


def _print(fitted: ScoreProbability, model: str) -> None:
    click.echo(
        f"{model}: {fitted.n_normals:,} normal and "
        f"{number_of(fitted.n_anomalies, 'anomalous item')}, {fitted.method}"
    )
    rows = [
        [f"{b.predicted:.2%}", f"{b.observed.estimate:.2%}",
         f"{b.observed.low:.2%} - {b.observed.high:.2%}", f"{b.n:,}"]
        for b in fitted.reliability
    ]  # fmt: skip
    title = f"Reliability on items left out, at their own {_rate(fitted.fitted_base_rate)}"
    print_table(rows, ["said", "found", "95 % interval", "items"], title)
    click.echo(
        f"Brier score {fitted.brier.estimate:.4f} "
        f"({fitted.brier.low:.4f} - {fitted.brier.high:.4f}), "
        f"always saying the base rate: {fitted.brier_of_base_rate:.4f}; lower = better."
    )
    click.echo(
        f"Probabilities hold where {_rate(fitted.base_rate)} of the items are anomalies; "
        "give --base-rate if the nights differ."
    )


def _rate(share: float) -> str:
    return f"{100 * share:.3g} %"
