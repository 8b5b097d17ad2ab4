"""``vae-anomaly threshold tune``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_words, show_progress
from vae_anomaly.cli.options import (
    Decorator,
    at_store,
    bundle,
    json_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.cli.threshold.interactive import let_owner_move, require_terminal
from vae_anomaly.cli.threshold.items import ItemOptions, find_items, items_options, volume_option
from vae_anomaly.cli.threshold.tables import nested_record, print_tuned, records
from vae_anomaly.names import typed
from vae_anomaly.thresholds.catalogue import POLICIES
from vae_anomaly.thresholds.policy import Option, Range

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.fit.prediction import FoundShare
    from vae_anomaly.detectors.protocol import AnyDetector
    from vae_anomaly.evaluation import ScoredItems, Tuned
    from vae_anomaly.thresholds import ReviewedSample, Threshold
    from vae_anomaly.tracking import ResolvedModel


def _given(**values: object) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _click_option(option: Option) -> Decorator:
    if option.values is None:
        return click.option(option.flag, is_flag=True, default=None, help=option.help)
    return click.option(option.flag, type=_click_range(option.values), help=option.help)


def _click_range(values: Range) -> click.FloatRange:
    low, high = (None if math.isinf(end) else end for end in (values.low, values.high))
    return click.FloatRange(low, high, min_open=not values.with_low, max_open=not values.with_high)


_policy_options = bundle(  # of all policies
    "numbers",
    _given,
    *(_click_option(option) for policy in POLICIES.values() for option in policy.options),
)


@click.command()
@click.argument("model")
@items_options
@volume_option
@threads_option
@click.option("--feedback", is_flag=True,
              help="Learn from the verdicts of `feedback import` instead of labels.")  # fmt: skip
@click.option(
    "--by",
    type=click.Choice(["score", "combined"]),
    default="score",
    show_default=True,
    help="Bound the model's score, or what verdicts have taught.",
)
@_policy_options
@click.option("--interactive", is_flag=True, help="Move the threshold by keys and watch.")
@click.option("--out", metavar="FILE", default="threshold.json", show_default=True,
              help="Where the threshold is written.")  # fmt: skip
@click.option("--figures", metavar="DIR", help="Draw histogram, ROC and precision-recall there.")
@tracking_option
@json_option
def tune(model: str, where: ItemOptions, numbers: Mapping[str, float], volume: float | None,
         feedback: bool, by: str, interactive: bool, out: str, figures: str | None, uri: str | None,
         as_json: bool) -> None:  # fmt: skip
    """Choose a threshold for MODEL by what you ask for, and see what else you could have.

    Without --scores or --input the normals that the model held out of training decide. Input
    without labels counts as normal; what is wrong in it makes the threshold stricter than need be.

    --by combined bounds the combined p-value of a run with --learn (--target-fpr,
    --max-alarms-per-day), else the probability. Where the scores have both, the table shows both.

    \b
    Examples:
      vae-anomaly threshold tune models:/cards@champion --target-fpr 0.002
      vae-anomaly threshold tune models:/cards@champion --value 2.31
      vae-anomaly threshold tune models:/cards@champion --volume 9500 --interactive
      vae-anomaly threshold tune models:/cards@champion --scores flags/ --feedback --f-beta 1
      vae-anomaly threshold tune models:/cards@champion --scores flags/ --by combined --capacity 100
      vae-anomaly threshold tune models:/cards@champion --scores flags/ \\
          --labels labels.parquet:is_fraud --cost-fp 1 --cost-fn 50 --volume 9500
    """
    from vae_anomaly.evaluation import tune as choose
    from vae_anomaly.tracking import load
    from vae_anomaly.tracking.apply import learned_threshold

    combined = by == "combined"
    _require_fitting(where, combined=combined, interactive=interactive)
    if interactive:
        require_terminal()
    detector, resolved = load(model, uri)
    with show_progress() as progress:
        items = find_items(detector, resolved, uri, progress, where)
    items = items.learned() if combined else items
    current = detector.threshold_
    reviews = _reviews(items, resolved, current, uri, where.labels) if feedback else None
    if items.is_learned:
        current = learned_threshold(resolved, uri) or current
    tuned = choose(items, numbers, volume=volume, current=current, reviews=reviews,
                   combined=combined)  # fmt: skip
    chosen: Tuned | None = tuned
    if interactive:
        chosen = let_owner_move(tuned, items, numbers, volume=volume, current=current,
                              reviews=reviews)  # fmt: skip
    found = _found(detector, chosen)
    _finish(chosen, items, resolved, out, figures, uri, found, daily=volume is not None,
            as_json=as_json)  # fmt: skip


def _require_fitting(where: ItemOptions, *, combined: bool, interactive: bool) -> None:
    """Refuse options that do not go with ``--by combined``."""
    if combined and interactive:
        raise click.UsageError("--interactive moves a bound on the score: leave out --by combined.")
    if combined and not where.scores:
        raise click.UsageError(
            "--by combined needs what a run with --learn has written: add --scores DIR."
        )


def _finish(
    tuned: Tuned | None,
    items: ScoredItems,
    model: ResolvedModel,
    out: str,
    figures: str | None,
    uri: str | None,
    found: tuple[FoundShare, ...],
    *,
    daily: bool,
    as_json: bool,
) -> None:
    """Write the threshold and its figures, and say what it means; None was not kept."""
    from vae_anomaly.detectors.images.fit.self_test import found_words
    from vae_anomaly.evaluation import bind
    from vae_anomaly.reports import write_figures, write_json

    if tuned is None:
        emit({"model": model.label, "written": None}, as_json=as_json)
        click.echo("Left without a threshold; nothing was written.", err=True)
        return
    bound = bind(tuned.threshold, model)
    files = [write_json(bound.to_dict(), out)]
    if figures:
        shown = items.on(bound.basis)
        files += write_figures(shown.scores, shown.labels, bound.value, figures)
    document = {"model": model.label, "threshold": bound.to_dict(), "words": tuned.words,
                "nested_estimate": nested_record(tuned), "candidates": records(tuned),
                "written": out}  # fmt: skip
    if found:
        document |= {"self_test": [asdict(one) for one in found]}
    if not emit(document, as_json=as_json):
        print_tuned(tuned, items, daily)
        if found:
            print_words(f"Self-test. {found_words(found)}")
        click.echo("".join(f"wrote {file}\n" for file in files), nl=False)
        after = typed("vae-anomaly", "threshold", "apply", model.ref, out, *at_store(uri))
        click.echo(f"\nNext: {after}")


def _found(detector: AnyDetector, tuned: Tuned | None) -> tuple[FoundShare, ...]:
    """Return what a threshold on the score finds of synthetic defects; of images."""
    if detector.kind != "image" or tuned is None or tuned.threshold.basis != "score":
        return ()
    return detector.predicted_recall(tuned.threshold.value)


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
