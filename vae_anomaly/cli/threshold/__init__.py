"""``vae-anomaly threshold``: tune, show and apply the operating point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table, print_words, show_progress
from vae_anomaly.cli.options import json_option, tracking_option
from vae_anomaly.cli.threshold.compare import compare
from vae_anomaly.cli.threshold.history import history
from vae_anomaly.cli.threshold.items import NON_NEGATIVE, POSITIVE, find_items, items_options
from vae_anomaly.cli.threshold.tables import nested_record, print_tuned, records

if TYPE_CHECKING:
    from vae_anomaly.evaluation import ScoredItems
    from vae_anomaly.thresholds import ReviewedSample, Threshold
    from vae_anomaly.tracking import ResolvedModel

WHERE = ("scores", "input_", "labels", "group", "amount", "state")
RATE = click.FloatRange(0, 1, min_open=True, max_open=True)
SHARE = click.FloatRange(0, 1, min_open=True)
WISHES: tuple[tuple[str, Any, str], ...] = (
    ("--target-fpr", RATE, "Share of good items that may be flagged.  [default: 0.01]"),
    ("--max-alarms-per-day", POSITIVE, "False alarms a day, of --volume items."),
    ("--quantile", SHARE, "Quantile of the scores of normals."),
    ("--tail-fpr", RATE, "A rate too small to count, from a fitted tail (extrapolated)."),
    ("--fdr", RATE, "Share of false alarms among the flags of this very batch."),
    ("--capacity", POSITIVE, "Items that can be reviewed, of --volume a day or of this input."),
    ("--f-beta", POSITIVE, "Best F-beta; needs labels."),
    ("--youden", None, "Largest recall minus false-positive rate; needs labels."),
    ("--cost-fp", NON_NEGATIVE, "Cost of a false alarm; with --cost-fn and labels."),
    ("--cost-fn", NON_NEGATIVE, "Cost of a miss, per unit of --amount if given."),
    ("--min-precision", SHARE, "Most recall at this precision; needs labels."),
    ("--min-recall", SHARE, "Fewest flags with this recall; needs labels."),
)


def _wishes(command: Any) -> Any:
    for name, kind, help_ in reversed(WISHES):
        if kind is None:
            command = click.option(name, is_flag=True, default=None, help=help_)(command)
        else:
            command = click.option(name, type=kind, help=help_)(command)
    return command


@click.group()
def threshold() -> None:
    """Choose how many alarms to live with, and store that with the model.

    \b
    Examples:
      vae-anomaly threshold show models:/cards@champion
      vae-anomaly threshold tune models:/cards@champion --max-alarms-per-day 20 --volume 9500
      vae-anomaly threshold apply models:/cards@champion threshold.json
      vae-anomaly threshold history cards
    """


threshold.add_command(compare)
threshold.add_command(history)


@threshold.command()
@click.argument("model")
@items_options
@click.option("--feedback", is_flag=True,
              help="Learn from the verdicts of `feedback import` instead of labels.")  # fmt: skip
@_wishes
@click.option("--interactive", is_flag=True, help="Move the threshold by keys and watch.")
@click.option("--out", metavar="FILE", default="threshold.json", show_default=True,
              help="Where the threshold is written.")  # fmt: skip
@click.option("--figures", metavar="DIR", help="Draw histogram, ROC and precision-recall there.")
@tracking_option
@json_option
def tune(model: str, out: str, figures: str | None, uri: str | None, as_json: bool, feedback: bool,
         volume: float | None, interactive: bool, **asked: Any) -> None:  # fmt: skip
    """Choose a threshold for MODEL by what you ask for, and see what else you could have.

    Without --scores or --input the normals that the model held out of training decide. Input
    without labels counts as normal; what is wrong in it makes the threshold stricter than need be.

    \b
    Examples:
      vae-anomaly threshold tune models:/cards@champion --target-fpr 0.002
      vae-anomaly threshold tune models:/cards@champion --volume 9500 --interactive
      vae-anomaly threshold tune models:/cards@champion --scores flags/ --feedback --f-beta 1
      vae-anomaly threshold tune models:/cards@champion --scores flags/ \\
          --labels labels.parquet:is_fraud --cost-fp 1 --cost-fn 50 --volume 9500
    """
    from vae_anomaly.cli.threshold.interactive import let_owner_move, require_terminal
    from vae_anomaly.evaluation import bind
    from vae_anomaly.evaluation import tune as choose
    from vae_anomaly.reports import write_figures, write_json
    from vae_anomaly.tracking import load

    if interactive:
        require_terminal()
    where = {name: asked.pop(name) for name in WHERE}
    ask = {name: float(value) for name, value in asked.items() if value is not None}
    detector, resolved = load(model, uri)
    with show_progress() as progress:
        items = find_items(detector, resolved, uri, progress, **where)
    current = detector.threshold_
    reviews = _reviews(items, resolved, current, uri, labels=where["labels"]) if feedback else None
    tuned = choose(items, ask, volume=volume, current=current, reviews=reviews)
    if interactive:
        moved = let_owner_move(tuned, items, ask, volume=volume, current=current, reviews=reviews)
        if moved is None:
            emit({"model": resolved.label, "written": None}, as_json=as_json)
            click.echo("Left without a threshold; nothing was written.", err=True)
            return
        tuned = moved
    bound = bind(tuned.threshold, resolved)
    write_json(bound.to_dict(), out)
    files = write_figures(items.scores, items.labels, bound.value, figures) if figures else []
    said = {"model": resolved.label, "threshold": bound.to_dict(), "words": tuned.words,
            "nested_estimate": nested_record(tuned), "candidates": records(tuned),
            "written": out}  # fmt: skip
    if not emit(said, as_json=as_json):
        print_tuned(tuned, items, volume is not None)
        click.echo("".join(f"wrote {file}\n" for file in [out, *files]), nl=False)
        click.echo(f"\nNext: vae-anomaly threshold apply {model} {out}")


@threshold.command()
@click.argument("model")
@tracking_option
@json_option
def show(model: str, uri: str | None, as_json: bool) -> None:
    """Show the threshold of MODEL, and what it means.

    \b
    Example:
      vae-anomaly threshold show models:/cards@champion
    """
    from vae_anomaly.tracking import load

    detector, resolved = load(model, uri)
    current = detector.threshold_
    words = current.in_words()
    said = {"model": resolved.label, "threshold": current.to_dict(), "words": words}
    if emit(said, as_json=as_json):
        return
    print_words(f"{resolved.label}: {words}")
    facts = {
        "policy": current.policy,
        "normals behind it": f"{current.n_normals:,}",
        "made": current.created,
        "made for": current.model_version or "this model, in training",
    }
    facts |= {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in current.parameters.items()}
    print_table([[k, str(v)] for k, v in facts.items() if v is not None], ["fact", "value"])


@threshold.command()
@click.argument("model")
@click.argument("file", type=click.Path())
@click.option("--alias", metavar="NAME", help="Alias to move.  [default: the one in MODEL]")
@click.option("--who", metavar="NAME", help="Who decided; kept with the version.")
@click.option("--reason", metavar="TEXT", default="", help="Why; kept with the version.")
@click.option("--dry-run", is_flag=True, help="Check and say what would change; change nothing.")
@tracking_option
@json_option
def apply(model: str, file: str, alias: str | None, who: str | None, reason: str, dry_run: bool,
          uri: str | None, as_json: bool) -> None:  # fmt: skip
    """Store the threshold in FILE with MODEL.

    A registered model gets a new version, and the alias moves to it, on the record; a model folder
    is changed in place. A threshold made for another model is refused (exit code 5).

    \b
    Example:
      vae-anomaly threshold apply models:/cards@champion threshold.json --reason "20 alarms a day"
    """
    from vae_anomaly.evaluation import apply_threshold
    from vae_anomaly.thresholds import Threshold

    done = apply_threshold(
        model, Threshold.load(file), uri=uri, alias=alias, who=who, reason=reason, dry_run=dry_run
    )
    said = {"model": done.model, "version": done.version, "alias": done.alias,
            "from": done.old.value, "to": done.new.value, "dry_run": dry_run}  # fmt: skip
    if not emit(said, as_json=as_json):
        would = "would flag" if dry_run else "now flags"
        click.echo(
            f"{done.model} {would} scores above {done.new.value:.4g} (before: {done.old.value:.4g})"
        )
        if done.version:
            click.echo(f"registered as version {done.version}"
                       + (f", alias {done.alias} moved to it" if done.alias else ""))  # fmt: skip


def _reviews(
    items: ScoredItems,
    model: ResolvedModel,
    current: Threshold,
    uri: str | None,
    labels: str | None,
) -> ReviewedSample:
    """Join the stored verdicts to the items."""
    from vae_anomaly.evaluation import reviewed_items
    from vae_anomaly.tracking import load_feedback, registered_name

    if labels:
        raise click.UsageError("--feedback and --labels exclude each other: keep one.")
    if items.source.endswith("held out of training"):
        raise click.UsageError(
            "--feedback needs the scores of the items that were reviewed: add --scores FILE or "
            "--input PATH."
        )
    verdicts = load_feedback(model.name or registered_name(model.ref), uri)
    return reviewed_items(items, verdicts, items.flagged_by(current.value))
