"""``vae-anomaly threshold``: tune, show and apply the operating point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.entities import state_option
from vae_anomaly.cli.options import json_option, tracking_option

if TYPE_CHECKING:
    from vae_anomaly.evaluation import ScoredItems, Tuned
    from vae_anomaly.progress import Progress
    from vae_anomaly.tracking import ResolvedModel

WHERE = ("scores", "input_", "labels", "group", "amount", "state")
RATE = click.FloatRange(0, 1, min_open=True, max_open=True)
SHARE = click.FloatRange(0, 1, min_open=True)
POSITIVE = click.FloatRange(0, min_open=True)
WISHES: tuple[tuple[str, Any, str], ...] = (
    ("--target-fpr", RATE, "Share of good items that may be flagged.  [default: 0.01]"),
    ("--max-alarms-per-day", POSITIVE, "False alarms a day, of --volume items."),
    ("--quantile", SHARE, "Quantile of the scores of normals."),
    ("--tail-fpr", RATE, "A rate too small to count, from a fitted tail (extrapolated)."),
    ("--fdr", RATE, "Share of false alarms among the flags of this very batch."),
    ("--capacity", POSITIVE, "Items that can be reviewed, of --volume a day or of this input."),
    ("--f-beta", POSITIVE, "Best F-beta; needs labels."),
    ("--cost-fp", click.FloatRange(0), "Cost of a false alarm; with --cost-fn and labels."),
    ("--cost-fn", click.FloatRange(0), "Cost of a miss, per unit of --amount if given."),
    ("--min-precision", SHARE, "Most recall at this precision; needs labels."),
    ("--min-recall", SHARE, "Fewest flags with this recall; needs labels."),
)


def _wishes(command: Any) -> Any:
    for name, kind, help_ in reversed(WISHES):
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
    """


@threshold.command()
@click.argument("model")
@click.option("--scores", metavar="FILE", help="Output folder of `score`, or a file of scores.")
@click.option("--input", "input_", metavar="PATH", help="Pictures or tables, scored first.")
@click.option("--labels", metavar="COLUMN", help="Column of labels, or FILE:COLUMN joined by id.")
@click.option("--group", metavar="COLUMN", help="Items of one group stay together.")
@click.option("--amount", metavar="COLUMN", help="What a miss costs, times --cost-fn.")
@click.option("--volume", type=POSITIVE, help="Items a day.")
@state_option
@_wishes
@click.option("--out", metavar="FILE", default="threshold.json", show_default=True,
              help="Where the threshold is written.")  # fmt: skip
@click.option("--figures", metavar="DIR", help="Draw histogram, ROC and precision-recall there.")
@tracking_option
@json_option
def tune(model: str, out: str, figures: str | None, uri: str | None, as_json: bool,
         volume: float | None, **asked: Any) -> None:  # fmt: skip
    """Choose a threshold for MODEL by what you ask for, and see what else you could have.

    Without --scores or --input the normals that the model held out of training decide. Input
    without labels counts as normal; what is wrong in it makes the threshold stricter than need be.

    \b
    Examples:
      vae-anomaly threshold tune models:/cards@champion --target-fpr 0.002
      vae-anomaly threshold tune models:/cards@champion --scores flags/ \\
          --labels labels.parquet:is_fraud --cost-fp 1 --cost-fn 50 --volume 9500
    """
    from vae_anomaly.evaluation import bind
    from vae_anomaly.evaluation import tune as choose
    from vae_anomaly.reports import write_figures, write_json
    from vae_anomaly.tracking import load

    where = {name: asked.pop(name) for name in WHERE}
    ask = {name: value for name, value in asked.items() if value is not None}
    detector, resolved = load(model, uri)
    with show_progress() as progress:
        items = _items(detector, resolved, uri, progress, **where)
    tuned = choose(items, ask, volume=volume)
    bound = bind(tuned.threshold, resolved)
    write_json(bound.to_dict(), out)
    files = write_figures(items.scores, items.labels, bound.value, figures) if figures else []
    said = {"model": resolved.label, "threshold": bound.to_dict(), "words": tuned.words,
            "candidates": _records(tuned), "written": out}  # fmt: skip
    if not emit(said, as_json=as_json):
        _print_tuned(tuned, items, volume is not None)
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
    from vae_anomaly.evaluation.tuning import in_words
    from vae_anomaly.tracking import load

    detector, resolved = load(model, uri)
    current = detector.threshold_
    words = in_words(current)
    said = {"model": resolved.label, "threshold": current.to_dict(), "words": words}
    if emit(said, as_json=as_json):
        return
    click.echo(f"{resolved.label}: {words}")
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


def _items(
    detector: Any,
    model: ResolvedModel,
    uri: str | None,
    progress: Progress,
    *,
    scores: str | None,
    input_: str | None,
    labels: str | None,
    group: str | None,
    amount: str | None,
    state: str | None,
) -> ScoredItems:
    from vae_anomaly.evaluation import held_out_normals, read_scores, require_scores_of, score_items

    if scores and input_:
        raise click.UsageError("--scores and --input exclude each other: keep one.")
    if scores:
        column = detector.schema_.id_column if detector.kind == "tabular" else None
        items, versions = read_scores(
            scores, labels=labels, groups=group, amounts=amount, id_column=column
        )
        require_scores_of(model, versions, uri)
        return items
    if input_:
        return score_items(detector, input_, labels=labels, groups=group, amounts=amount,
                           state=state, progress=progress)  # fmt: skip
    if labels or group or amount:
        raise click.UsageError("--labels, --group and --amount need --scores FILE or --input PATH.")
    return held_out_normals(detector)


def _records(tuned: Tuned) -> list[dict[str, Any]]:
    """Return the candidates without what cannot be said."""
    rows = tuned.table.to_dict("records")
    return [{str(k): v for k, v in row.items() if v == v and v is not None} for row in rows]


def _print_tuned(tuned: Tuned, items: ScoredItems, daily: bool) -> None:
    left = "".join(f"; {n:,} left out ({why})" for why, n in items.left_out.items())
    click.echo(f"From {items.source}: {len(items):,} scores{left}")
    alarms = "alarms a day" if daily else "alarms in 1,000"
    columns = [("fpr", "FPR", ".2%"), ("alarms_per_day", alarms, ".3g"),
               ("precision", "precision", ".0%"), ("recall", "recall", ".0%"),
               ("cost", "cost an item", ".3g")]  # fmt: skip
    shown = [column for column in columns if tuned.table[column[0]].notna().any()]
    rows = [
        [("> " if r["chosen"] else "  ") + r["policy"], f"{r['threshold']:.3f}",
         *(_cell(r, name, form) for name, _, form in shown)]
        for r in tuned.table.to_dict("records")
    ]  # fmt: skip
    header = ["policy", "score above", *(title for _, title, _ in shown)]
    print_table(rows, header, "Operating points, strictest first (95 % intervals); > is chosen")
    click.echo(tuned.words)


def _cell(row: Mapping[Any, Any], name: str, form: str) -> str:
    if row[name] != row[name]:
        return "-"
    return f"{row[name]:{form}} ({row[name + '_low']:{form}}-{row[name + '_high']:{form}})"
