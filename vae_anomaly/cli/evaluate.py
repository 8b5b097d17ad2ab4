"""``vae-anomaly evaluate``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import (
    class_options,
    device_option,
    groups_option,
    image_options,
    json_option,
    labels_option,
    one_or_all,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.words import number_of, verb_for

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.errors import VaeAnomalyError
    from vae_anomaly.evaluation import EvaluationReport, ScoredItems
    from vae_anomaly.metrics import Interval
    from vae_anomaly.thresholds.items import Outlines
    from vae_anomaly.tracking import LoggedEvaluation, ResolvedModel

NAMES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "fpr_at_95_tpr": "FPR at 95 % recall",
    "partial_auroc": "partial AUROC (FPR <= 10 %)",
    "recall": "recall",
    "fpr": "false-positive rate",
    "precision": "precision",
    "f1": "F1",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
}
MAX_VALUES_SHOWN = 20
MAX_MASKS_SHOWN = 5


@click.command()
@click.argument("model")
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...")
@labels_option()
@class_options
@groups_option("Customer, machine, ...: resampled together.")
@click.option(
    "--by",
    multiple=True,
    metavar="COLUMN",
    help="A table by the values of a column: machine, shop, camera; repeatable.",
)
@click.option("--out", metavar="DIR", help="Folder for figures and evaluation.json.")
@click.option("--log", is_flag=True, help="Log figures and images as a run in MLflow.")
@state_option
@image_options
@device_option
@threads_option
@tracking_option
@json_option
def evaluate(model: str, paths: tuple[str, ...], labels: str | None, classes: ClassNames,
             groups: str | None, by: tuple[str, ...], out: str | None, log: bool, state: str | None,
             follow_links: bool, reading: ImageReading, device: str, uri: str | None,
             as_json: bool) -> None:  # fmt: skip
    """Measure how well MODEL tells anomalies from normals in a labelled INPUT.

    Labels of a table are a column of 0/1, legit/fraud or kinds ("normal", "dos"); of images,
    their folders (good, scratch, ..., or as --good and --defect say) or a manifest. Of images in
    parts only test is taken. Every figure comes with its 95 % interval.

    \b
    Examples:
      vae-anomaly evaluate models:/tiles@champion tiles/ --out evaluation/
      vae-anomaly evaluate models:/cards@champion days/ --labels labels.parquet:is_fraud
      vae-anomaly evaluate models:/press@champion week.csv --labels defect --by machine --log
    """
    from vae_anomaly.evaluation import evaluate as measure
    from vae_anomaly.evaluation import score_items
    from vae_anomaly.reports import write_evaluation
    from vae_anomaly.storage.folders import refuse_no_folder, write_folder
    from vae_anomaly.tracking import load
    from vae_anomaly.tracking.client import check_writable
    from vae_anomaly.tracking.events import EVALUATIONS

    if log:
        check_writable(uri, [EVALUATIONS])
    if out is not None:
        refuse_no_folder(out)
    detector, resolved = load(model, uri, device=device)
    with show_progress() as progress:
        items = score_items(
            detector,
            one_or_all(paths),
            labels=labels,
            groups=groups,
            by=by,
            state=state,
            classes=classes,
            follow_links=follow_links,
            reading=reading,
            labelled=True,
            progress=progress,
        )
    report = measure(items, detector.threshold_)
    document = {"model": resolved.label, **report.to_dict()}
    files = (
        []
        if out is None
        else write_folder(
            lambda folder: write_evaluation(document, items.scores, items.labels, folder), out
        )
    )
    logged, outage = _log(resolved, report, document, items, uri) if log else (None, None)
    if logged is not None:
        document["run"] = logged.run_id
    if not emit(document, as_json=as_json):
        _print(report, resolved.label, files)
        if logged is not None:
            click.echo(f"logged as run {logged.run_id} of {logged.experiment} in {logged.store}")
    if outage is not None:
        raise outage


def _log(
    model: ResolvedModel,
    report: EvaluationReport,
    document: Mapping[str, object],
    items: ScoredItems,
    uri: str | None,
) -> tuple[LoggedEvaluation | None, VaeAnomalyError | None]:
    """Log the report and its figures; an outage is returned, so that all is printed."""
    import tempfile

    from vae_anomaly.errors import VaeAnomalyError
    from vae_anomaly.reports import write_evaluation
    from vae_anomaly.tracking import log_evaluation

    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        files = write_evaluation(document, items.scores, items.labels, scratch)
        try:
            metrics = _metrics(report)
            return log_evaluation(model, metrics, source=items.source, files=files, uri=uri), None
        except VaeAnomalyError as err:
            return None, err


def _metrics(report: EvaluationReport) -> dict[str, float]:
    """Return the figures and the ends of their intervals."""
    metrics = {"n_normals": float(report.n_normals), "n_anomalies": float(report.n_anomalies)}
    for name, figure in report.figures.items():
        ends = {name: figure.estimate, f"{name}_low": figure.low, f"{name}_high": figure.high}
        metrics |= {end: value for end, value in ends.items() if value == value}
    for row in report.kinds.to_dict("records"):
        if row["kind"]:
            metrics[f"recall_of.{_plain_key(str(row['kind']))}"] = row["share"]
    return metrics


def _plain_key(kind: str) -> str:
    """Return a kind as MLflow takes it in the name of a metric."""
    return "".join(c if c.isalnum() or c in "_-. " else "_" for c in kind)


def _print(report: EvaluationReport, model: str, files: list[str]) -> None:
    left = "".join(f", {n:,} left out ({why})" for why, n in report.left_out.items())
    click.echo(
        f"{model}: {report.n_normals:,} normal and "
        f"{number_of(report.n_anomalies, 'anomalous item')}{left}"
    )
    if report.unused_labels:
        n = report.unused_labels
        belong = verb_for(n, "belongs", "belong")
        click.echo(f"{number_of(n, 'label')} {belong} to none of the items of the input.")
    if report.ranking:
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
    if report.not_measured:
        _print_quantiles(report)
    if report.outlines is not None:
        _print_pixels(report.pixels, report.outlines)
    for column, table in report.by.items():
        _print_by(column, table)
    if report.not_measured:
        click.echo(report.not_measured)
    for file in files:
        click.echo(f"wrote {file}")


def _print_quantiles(report: EvaluationReport) -> None:
    rows = [
        [name, *(f"{value:.2f}" for value in quantiles.values())]
        for name, quantiles in report.quantiles.items()
    ]
    header = ["items", *(f"{float(q):.0%}" for q in next(iter(report.quantiles.values())))]
    print_table(rows, header, "Quantiles of the score (-log10 p; 100 % is the highest)")


def _print_pixels(figures: Mapping[str, Interval], outlines: Outlines) -> None:
    """Print figures of heatmaps, how many masks they stand on, and why others are not used."""
    defective = number_of(outlines.n_defective, "defective image")
    on = f"{number_of(outlines.n_masks, 'mask')} of {defective}"
    if figures:
        _print_figures(figures, f"Heatmaps against the outlines: {on}")
    else:
        click.echo(f"Heatmaps against the outlines cannot be measured: {on} can be used.")
    if outlines.n_missing:
        missing = number_of(outlines.n_missing, "defective image")
        click.echo(f"  without a mask, not in these figures: {missing}")
    if outlines.inverted:
        click.echo(
            "  taken to be inverted, as most cover more than half of the image: "
            f"{number_of(outlines.inverted, 'mask')}. "
            "Save them with 0 where it is good and 255 where it is defective."
        )
    if outlines.unused:
        click.echo(f"  cannot be used: {number_of(len(outlines.unused), 'mask')}")
    for name, why in list(outlines.unused.items())[:MAX_MASKS_SHOWN]:
        click.echo(f"    {name}: {why}")
    if len(outlines.unused) > MAX_MASKS_SHOWN:
        click.echo(f"    and {len(outlines.unused) - MAX_MASKS_SHOWN:,} more: --json has all")


def _print_by(column: str, table: pd.DataFrame) -> None:
    rows = [
        [str(r["value"]), f"{r['n_normals']:,}", f"{r['n_anomalies']:,}",
         *(_with_interval(r[name], r[f"{name}_low"], r[f"{name}_high"], form) for name, form in
           (("fpr", ".1%"), ("recall", ".0%"), ("auroc", ".3f")))]
        for r in table.head(MAX_VALUES_SHOWN).to_dict("records")
    ]  # fmt: skip
    header = [column, "normal", "anomalous", "false-positive rate", "recall", "AUROC"]
    print_table(rows, header, f"By {column} (95 % intervals)")
    if len(table) > MAX_VALUES_SHOWN:
        click.echo(
            f"and {number_of(len(table) - MAX_VALUES_SHOWN, 'more value')}: --json or --out has all"
        )


def _with_interval(estimate: float, low: float, high: float, form: str) -> str:
    return "-" if estimate != estimate else f"{estimate:{form}} ({low:{form}}-{high:{form}})"


def _print_figures(figures: Mapping[str, Interval], title: str) -> None:
    rows = [
        [NAMES[name], _number(f.estimate), f"{_number(f.low)} - {_number(f.high)}"]
        for name, f in figures.items()
    ]
    print_table(rows, ["figure", "value", "95 % interval"], title)


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.4f}"
