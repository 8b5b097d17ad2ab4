"""``vae-anomaly threshold compare``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, print_words, show_progress
from vae_anomaly.cli.options import json_option, threads_option, tracking_option
from vae_anomaly.cli.threshold.items import (
    NON_NEGATIVE,
    ItemOptions,
    find_items,
    items_options,
    volume_option,
)
from vae_anomaly.cli.threshold.tables import figure_text, titles_of
from vae_anomaly.words import number_of, verb_for

if TYPE_CHECKING:
    from vae_anomaly.arrays import Floats
    from vae_anomaly.evaluation import Comparison, ScoredItems
    from vae_anomaly.thresholds import Threshold
    from vae_anomaly.tracking import ResolvedModel


@click.command()
@click.argument("a")
@click.argument("b")
@items_options
@volume_option
@threads_option
@click.option("--cost-fp", type=NON_NEGATIVE, help="Cost of a false alarm; with --cost-fn.")
@click.option("--cost-fn", type=NON_NEGATIVE, help="Cost of a miss, per unit of --stake if given.")
@click.option("--model", metavar="MODEL", help="Whose items or scores, where A and B are files.")
@tracking_option
@json_option
def compare(a: str, b: str, where: ItemOptions, model: str | None, uri: str | None,
            as_json: bool, volume: float | None, cost_fp: float | None,
            cost_fn: float | None) -> None:  # fmt: skip
    """Put two thresholds side by side on the same scores.

    A and B are files of `threshold tune`, or models, of which the threshold in force is taken.
    One may bound the score and the other what verdicts have taught, on scores that have both.
    Without --scores or --input the normals that the model held out decide. Told are the figures of
    both, their difference with its own interval, and how many items change side.

    \b
    Examples:
      vae-anomaly threshold compare models:/cards@champion threshold.json
      vae-anomaly threshold compare old.json new.json --scores flags/ --labels labels.csv:is_fraud
    """
    from vae_anomaly.evaluation import compare as put_side_by_side
    from vae_anomaly.evaluation import require_same_scale

    (old, owner_a), (new, owner_b) = (_threshold(ref, uri) for ref in (a, b))
    require_same_scale(old, new)
    items = _items(model, owner_a or owner_b, (old, new), uri, where)
    costs = _costs(items, cost_fp, cost_fn)
    comparison = put_side_by_side(items, old, new, volume=volume, costs=costs)
    figures = {
        name: dict(zip(("a", "b", "difference"), map(asdict, three), strict=True))
        for name, three in comparison.figures.items()
    }
    document = {**vars(comparison), "figures": figures, "source": items.source}
    if not emit(document, as_json=as_json):
        _print(comparison, items, a, b)


def _threshold(ref: str, uri: str | None) -> tuple[Threshold, ResolvedModel | None]:
    """Read a threshold from a file, or take the one in force of a model."""
    from vae_anomaly.evaluation import bind
    from vae_anomaly.storage.copies import on_disk
    from vae_anomaly.thresholds import Threshold
    from vae_anomaly.tracking import load

    if not ref.startswith("models:") and not Path(on_disk(ref)).is_dir():
        return Threshold.load(on_disk(ref)), None
    detector, resolved = load(ref, uri)
    return bind(detector.threshold_, resolved), resolved


def _items(
    model: str | None,
    owner: ResolvedModel | None,
    both: tuple[Threshold, Threshold],
    uri: str | None,
    where: ItemOptions,
) -> ScoredItems:
    """Find the items on which both are measured, by the model that they are for."""
    from vae_anomaly.evaluation import read_scores, require_same_scores
    from vae_anomaly.tracking import load

    ref = model or (owner.ref if owner else None)
    if ref is None and where.scores:
        return read_scores(
            where.scores,
            labels=where.labels,
            groups=where.groups,
            amounts=where.stake,
            allow_failed=where.allow_failed,
        )[0]
    if ref is None:
        raise click.UsageError(
            "Two files do not say on which items to compare them. Add --scores FILE, or --model "
            "MODEL (with --input PATH, or its held-out normals)."
        )
    detector, resolved = load(ref, uri)
    for threshold in both:
        require_same_scores(threshold, resolved)
    with show_progress() as progress:
        return find_items(detector, resolved, uri, progress, where)


def _costs(items: ScoredItems, cost_fp: float | None, cost_fn: float | None) -> Floats | None:
    from vae_anomaly.thresholds.rules import checked_costs

    if (cost_fp is None) != (cost_fn is None):
        raise click.UsageError("A cost has two sides. Give both --cost-fp and --cost-fn.")
    if cost_fp is None or cost_fn is None:
        return None
    if items.labels is None:
        raise click.UsageError("A cost needs labelled items. Add --labels COLUMN.")
    return checked_costs(cost_fp, cost_fn, items.labels, items.amounts)


def _print(comparison: Comparison, items: ScoredItems, a: str, b: str) -> None:
    counts = f"{number_of(comparison.n, 'item')}, taken as normal"
    if items.labels is not None:
        counts = (
            f"{comparison.n_normals:,} normal and "
            f"{number_of(comparison.n_anomalies, 'anomalous item')}"
        )
    click.echo(f"A = {a}\nB = {b}\nFrom {items.source}: {counts}")
    rows = [_bounds(comparison.a, comparison.b)]
    titles = titles_of(daily=True)
    for name, three in comparison.figures.items():
        between = figure_text(name, three[2], between=" to ", sign="+")
        rows.append([titles[name], *(figure_text(name, f) for f in three[:2]), between])
    print_table(rows, ["", "A", "B", "B - A"], "Figures, with 95 % intervals")
    n = comparison.only_a + comparison.only_b
    if not n:
        click.echo(f"No item changes side; both flag {comparison.both:,}.")
        return
    way = f"{_flagged(comparison.only_b)} by B only, {comparison.only_a:,} by A only"
    both = f"{_flagged(comparison.both)} by both"
    what = ""
    if items.labels is not None:
        what = (
            f" ({comparison.moved['normal']:,} normal, {comparison.moved['anomaly']:,} anomalous)"
        )
    print_words(
        f"{number_of(n, 'item')} {verb_for(n, 'changes', 'change')} side{what}: {way}; {both}."
    )
    print_words(f"For example {', '.join(comparison.examples)}.")


def _bounds(a: Threshold, b: Threshold) -> list[str]:
    if a.basis == b.basis == "score":
        return ["score above", f"{a.value:.3f}", f"{b.value:.3f}", f"{b.value - a.value:+.3f}"]
    return ["flagged when", a.bound_text, b.bound_text, ""]


def _flagged(n: int) -> str:
    return f"{n:,} {verb_for(n)} flagged"
