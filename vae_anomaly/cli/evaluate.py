"""``vae-anomaly evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.entities import state_option
from vae_anomaly.cli.options import json_option, tracking_option

if TYPE_CHECKING:
    from vae_anomaly.evaluation import EvaluationReport
    from vae_anomaly.metrics import Interval

NAMES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "fpr_at_95_tpr": "FPR at 95 % recall",
    "recall": "recall",
    "fpr": "false-positive rate",
    "precision": "precision",
    "f1": "F1",
}


@click.command()
@click.argument("model")
@click.argument("input_", metavar="INPUT")
@click.option("--labels", metavar="COLUMN", help="Column of labels, or FILE:COLUMN joined by id.")
@click.option("--group", metavar="COLUMN", help="Customer, machine, ...: resampled together.")
@click.option("--out", metavar="DIR", help="Folder for figures and evaluation.json.")
@state_option
@tracking_option
@json_option
def evaluate(
    model: str,
    input_: str,
    labels: str | None,
    group: str | None,
    out: str | None,
    state: str | None,
    uri: str | None,
    as_json: bool,
) -> None:
    """Measure how well MODEL tells anomalies from normals in a labelled INPUT.

    Labels of a table are a column of 0/1, yes/no or kinds ("normal", "fraud"); of pictures, their
    folders (good, scratch, ...) or a manifest. Every figure comes with its 95 % interval.

    \b
    Examples:
      vae-anomaly evaluate models:/tiles@champion tiles/ --out evaluation/
      vae-anomaly evaluate models:/cards@champion days/ --labels labels.parquet:is_fraud
    """
    from vae_anomaly.evaluation import evaluate as measure
    from vae_anomaly.evaluation import score_items
    from vae_anomaly.reports import write_evaluation
    from vae_anomaly.tracking import load

    detector, resolved = load(model, uri)
    with show_progress() as progress:
        items = score_items(
            detector, input_, labels=labels, groups=group, state=state, progress=progress
        )
    report = measure(items, detector.threshold_)
    said = {"model": resolved.label, **report.to_dict()}
    files = write_evaluation(said, items.scores, items.labels, out) if out else []
    if not emit(said, as_json=as_json):
        _print(report, resolved.label, [str(file) for file in files])


def _print(report: EvaluationReport, model: str, files: list[str]) -> None:
    left = "".join(f", {n:,} left out ({why})" for why, n in report.left_out.items())
    click.echo(
        f"{model}: {report.n_normals:,} normal and {report.n_anomalies:,} anomalous items{left}"
    )
    _print_figures(report.ranking, "Ranking, whatever the threshold")
    bound = f"score above {report.threshold.value:.3f} (policy {report.threshold.policy})"
    _print_figures(report.at_threshold, f"Flags at the model's threshold: {bound}")
    rows = [
        [
            str(r["kind"]),
            f"{r['n']:,}",
            f"{r['flagged']:,}",
            f"{r['share']:.1%}",
            f"{r['low']:.1%} - {r['high']:.1%}",
        ]
        for r in report.kinds.to_dict("records")
    ]
    print_table(rows, ["kind", "items", "flagged", "share", "95 % interval"], "By kind")
    for name, value in report.pixels.items():
        click.echo(f"{name.replace('_', ' ')}: {value:.3f} (heat maps against the outlines)")
    for file in files:
        click.echo(f"wrote {file}")


def _print_figures(figures: dict[str, Interval], title: str) -> None:
    rows = [
        [NAMES[name], _number(f.estimate), f"{_number(f.low)} - {_number(f.high)}"]
        for name, f in figures.items()
    ]
    print_table(rows, ["figure", "value", "95 % interval"], title)


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"
