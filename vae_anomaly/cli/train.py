"""``vae-anomaly train images`` and ``vae-anomaly train table``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.challenge import Challenging, challenger_options, print_challenge
from vae_anomaly.cli.console import emit, print_table, print_words, show_progress
from vae_anomaly.cli.options import (
    TableOptions,
    at_store,
    class_options,
    confirmed_to_leave_out,
    destination_options,
    detector_options,
    entity_options,
    json_option,
    leave_out_confirmed_option,
    look_at,
    one_or_all,
    table_options,
    threads_option,
    training_image_options,
    warm_start_option,
)
from vae_anomaly.cli.proposal import print_proposal
from vae_anomaly.detectors.parameters import IMAGE, TABULAR
from vae_anomaly.names import typed
from vae_anomaly.words import number_of, reason_of

MOST_NAMED = 10

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.data.tables.entity_histories import EntityColumns
    from vae_anomaly.detectors.images.fit.prediction import FoundShare
    from vae_anomaly.jobs import ChallengeReport, Destination, TrainingReport


@click.group()
def train() -> None:
    """Learn what normal looks like, and register the model.

    \b
    Examples:
      vae-anomaly train images tiles/train/good --name tiles
      vae-anomaly train table 'days/2024-04-*.parquet' --name cards
    """


@train.command()
@click.argument("paths", nargs=-1, required=True, metavar="INPUT...")
@click.option("--groups", metavar="FILE", help="Table with the columns path, group (part, camera).")
@class_options
@training_image_options
@detector_options(IMAGE)
@challenger_options
@warm_start_option
@leave_out_confirmed_option
@destination_options
@threads_option
@json_option
def images(
    paths: tuple[str, ...],
    groups: str | None,
    follow_links: bool,
    classes: ClassNames,
    parameters: dict[str, object],
    reading: ImageReading,
    challenging: Challenging | None,
    warm_start: str | None,
    leave_out: str | None,
    destination: Destination,
    as_json: bool,
) -> None:
    """Train on images of good parts: INPUT is folders, manifests, images or 'patterns*'.

    Folders called good, ok, gut, ... are used, defects and a test part are left out, and it is
    said. Where names do not tell, --good and --defect do. A manifest (CSV or parquet with a column
    path) works as well. Name images of the same part with --groups, so that p-values stay honest.

    \b
    Examples:
      vae-anomaly train images tiles/train/good --name tiles
      vae-anomaly train images tiles/ --name tiles --groups parts.csv --target-fpr 0.005
      vae-anomaly train images products/ --name all --model conditional --condition folder
      vae-anomaly train images caps/ --name caps --good 0 --defect 1
      vae-anomaly train images monday/ tuesday/ 'more/*.png' --name tiles
      vae-anomaly train images screws/ --name screws --pose any
      vae-anomaly train images boards/ --name boards --tile-size 256
      vae-anomaly train images caps/ --name caps --register auto --foreground auto
      vae-anomaly train images tiles/ --name tiles --device auto
      vae-anomaly train images scans/ --name scans --white 4095 --channels 1
      vae-anomaly train images tiles/ --out model/ --no-register
      vae-anomaly train images tiles/ --name deep --features timm:resnet18 \\
          --features-weights resnet18.safetensors
      vae-anomaly train images tiles/ --name deep --features timm:resnet18 --download
      vae-anomaly train images tiles/ --name deep --features backbone.onnx
      vae-anomaly train images tiles/ --name tiles --features auto
      vae-anomaly train images tiles/ --name tiles --challenger --holdout may/
    """
    from vae_anomaly import ImageVAEDetector
    from vae_anomaly.jobs import Asked, challenge_images_job, train_images_job

    detector = ImageVAEDetector().set_params(**parameters)
    confirmed = confirmed_to_leave_out(leave_out, destination)
    destination.begin(detector, warm_start)
    if challenging is not None:
        asked = Asked("", classes=classes, follow_links=follow_links, reading=reading)
        with show_progress() as progress:
            done = challenge_images_job(
                detector, one_or_all(paths), destination, challenging.plan(asked, destination),
                groups=groups, classes=classes, follow_links=follow_links, reading=reading,
                leave_out=confirmed, progress=progress,
            )  # fmt: skip
        _print_challenged(done, destination, as_json)
        return
    with show_progress() as progress:
        report = train_images_job(
            detector, one_or_all(paths), destination, groups=groups, classes=classes,
            follow_links=follow_links, reading=reading, leave_out=confirmed,
            progress=progress,
        )  # fmt: skip
    _print(report, destination, as_json)


@train.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@table_options
@detector_options(TABULAR)
@click.option("--sample-rows", type=click.IntRange(min=1000), default=200_000, show_default=True,
              help="Of a longer table, keep a uniform sample of so many.")  # fmt: skip
@entity_options
@challenger_options
@warm_start_option
@leave_out_confirmed_option
@destination_options
@threads_option
@json_option
def table(
    paths: tuple[str, ...],
    reading: TableOptions,
    parameters: dict[str, object],
    sample_rows: int,
    entities: EntityColumns | None,
    challenging: Challenging | None,
    warm_start: str | None,
    leave_out: str | None,
    destination: Destination,
    as_json: bool,
) -> None:
    """Train on the normal rows of the tables PATH: CSV or parquet files, folders, 'patterns*'.

    What each column is gets inferred; correct it with --kind and --ignore, or with a schema that
    `vae-anomaly data schema` wrote and you edited. Missing cells are data. A table may be
    longer than memory. With --entity each row is also compared with the past of its card,
    customer, machine.

    \b
    Examples:
      vae-anomaly train table 'days/2024-04-*.parquet' --name cards --id-column payment_id
      vae-anomaly train table days/ --name cards --entity card --time at --amount euro
      vae-anomaly train table days.csv --name cards --labels is_fraud --kind shop=categorical
      vae-anomaly train table parts.csv --name press --model conditional --condition product
      vae-anomaly train table days/ --name cards --labels is_fraud --challenger --holdout may/
    """
    from vae_anomaly import TabularVAEDetector
    from vae_anomaly.jobs import Asked, challenge_table_job, train_table_job

    detector = TabularVAEDetector().set_params(**parameters)
    confirmed = confirmed_to_leave_out(leave_out, destination)
    destination.begin(detector, warm_start)
    if challenging is not None:
        asked = Asked("", labels=reading.columns.label, groups=reading.columns.groups)
        with show_progress() as progress:
            done = challenge_table_job(
                detector, list(paths), destination, challenging.plan(asked, destination),
                reading.columns, sample_rows=sample_rows, entities=entities,
                leave_out=confirmed, progress=progress,
            )  # fmt: skip
        _print_challenged(done, destination, as_json)
        return
    with show_progress() as progress:
        report = train_table_job(
            detector, paths, destination, reading.columns,
            sample_rows=sample_rows, entities=entities, leave_out=confirmed,
            progress=progress,
        )  # fmt: skip
    _print(report, destination, as_json)


def _print_challenged(done: ChallengeReport, destination: Destination, as_json: bool) -> None:
    document = {**asdict(done.training), "challenge": done.challenge.to_dict()}
    if not emit(document, as_json=as_json):
        _print(done.training, destination, as_json=False)
        print_challenge(done.challenge, destination.uri)


def _print(report: TrainingReport, destination: Destination, as_json: bool) -> None:
    if emit(asdict(report), as_json=as_json):
        return
    reading = report.reading
    left = f"; {reading.n_left_out:,} labelled as anomalies, left out" * bool(reading.n_left_out)
    click.echo(f"Read {reading.source}{left}.")
    if report.columns:
        print_proposal(report.columns)
    for warning in reading.warnings:
        click.echo(f"Warning: {warning}.")
    for note in reading.notes:
        click.echo(f"Note: {reason_of(note)}.")
    _print_what_was_learned(report)
    _print_place(report, destination)


def _print_what_was_learned(report: TrainingReport) -> None:
    bound, measured = report.threshold, report.metrics
    steps = (
        f"{number_of(report.steps, 'step')} (best: {report.best_step:,})"
        if report.steps
        else "closed form"
    )
    click.echo(f"Trained in {report.seconds:.0f} s, {steps}.")
    for line in (*_of_rows(measured), *_of_images(measured)):
        click.echo(line)
    _print_outliers(report)
    click.echo(
        f"Held out {number_of(report.n_held_out, 'normal item')} that nothing was fitted on."
    )
    rate, expect = bound.expected_fpr, ""
    if rate is not None:
        expect = (
            f" Expect {rate.estimate:.2%} of normal items to be flagged "
            f"({rate.level:.0%} interval {rate.low:.2%} to {rate.high:.2%})."
        )
    click.echo(f"Flags a score above {bound.value:.2f} (p below {bound.p_value:.2g}).{expect}")
    if "labelled_anomalies" in measured:
        labelled = measured["labelled_anomalies"]
        click.echo(
            f"Of {number_of(labelled, 'labelled anomaly', 'labelled anomalies')} "
            f"{measured['recall_at_threshold']:.1%} are flagged; AUROC {measured['auroc']:.3f}, "
            f"average precision {measured['average_precision']:.3f}."
        )
    _print_self_test(report.self_test)


def _print_outliers(report: TrainingReport) -> None:
    """Name what training left out, and say what to do."""
    items = report.outliers
    if not items:
        return
    click.echo(f"Left out as outliers, far apart from all others: {number_of(len(items), 'item')}.")
    for item in items[:MOST_NAMED]:
        click.echo(f"  {item}")
    if len(items) > MOST_NAMED:
        click.echo(f"  and {len(items) - MOST_NAMED:,} more, see --json")
    if report.outlier_sheet is not None:
        click.echo(f"  look at them:   {report.outlier_sheet}")
    click.echo("  if normal:      train with --outliers keep")


def _of_rows(measured: dict[str, float]) -> Iterator[str]:
    if "active_units" in measured:
        expected = measured.get("expected_active_units")
        beforehand = "" if expected is None else f" ({expected:.0f} expected beforehand)"
        yield (
            f"Latents in use: {measured['active_units']:.0f} of {measured['latents']:.0f}"
            f"{beforehand}."
        )
    if "trimmed_rows" in measured:
        yield (
            "Left out as possible anomalies: "
            f"{number_of(measured['trimmed_rows'], 'training row')}, "
            f"{number_of(measured['dropped_held_out'], 'held-out row')}."
        )


def _of_images(measured: dict[str, float]) -> Iterator[str]:
    if "registered" in measured:
        yield (
            "Parts are shifted to one place before they are judged."
            if measured["registered"]
            else "Parts are not shifted: the images do not get more alike by it."
        )
    share = measured.get("foreground_share")
    if share is not None:
        yield (
            f"Foreground: {share:.0%} of the image; the rest is ignored."
            if share < 1
            else "Foreground: all of the image, as its background is not clearly uniform."
        )


def _print_self_test(found: tuple[FoundShare, ...]) -> None:
    """Say how many synthetic defects of each kind and size are found."""
    if not found:
        return
    from vae_anomaly.detectors.images.fit.self_test import found_table, found_words

    head, rows = found_table(found)
    print_table(rows, head, "Self-test: synthetic defects found, in 100")
    print_words(found_words(found))
    click.echo("Real ones differ: measure on some with `vae-anomaly evaluate`.")


def _print_place(report: TrainingReport, destination: Destination) -> None:
    at = "".join(f" {typed(word)}" for word in at_store(destination.uri))
    if report.registered is not None:
        model = report.registered
        click.echo(f"\nRegistered {model.name} version {model.version} in {model.store}")
        click.echo(f"  look at it:   {look_at(model.store)}")
    if report.folder is not None:
        click.echo(f"{'' if report.registered else chr(10)}Saved in {report.folder}")
    kind, what = ("images", "NEW_IMAGES/") if report.kind == "image" else ("table", "NEW_ROWS")
    click.echo(
        f"  score with:   vae-anomaly score {kind} {typed(report.model)} {what} --out flags/{at}"
    )
    click.echo(f"  its page:     vae-anomaly report {typed(report.model)}{at}")
