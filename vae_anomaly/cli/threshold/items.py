"""On which items thresholds are measured: options shared by commands, and reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.options import state_option

if TYPE_CHECKING:
    from vae_anomaly.evaluation import ScoredItems
    from vae_anomaly.progress import Progress
    from vae_anomaly.tracking import ResolvedModel

POSITIVE = click.FloatRange(0, min_open=True)
NON_NEGATIVE = click.FloatRange(0)


def items_options(command: Any) -> Any:
    """Add the options that say on which items thresholds are measured."""
    for option in (
        click.option("--volume", type=POSITIVE, help="Items a day."),
        click.option("--amount", metavar="COLUMN", help="What a miss costs, times --cost-fn."),
        click.option("--group", metavar="COLUMN", help="Items of one group stay together."),
        click.option(
            "--labels", metavar="COLUMN", help="Column of labels, or FILE:COLUMN joined by id."
        ),
        click.option("--input", "input_", metavar="PATH", help="Pictures or tables, scored first."),
        click.option(
            "--scores", metavar="FILE", help="Output folder of `score`, or a file of scores."
        ),
    ):
        command = option(command)
    return state_option(command)


def find_items(
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
    """Return the items that the options name; without any, the held-out normals."""
    from vae_anomaly.evaluation import (
        held_out_normals,
        read_scores,
        require_scores_of,
        score_items,
        with_held_out,
    )

    if scores and input_:
        raise click.UsageError("--scores and --input exclude each other: keep one.")
    if scores:
        column = detector.schema_.id_column if detector.kind == "tabular" else None
        items, versions = read_scores(
            scores, labels=labels, groups=group, amounts=amount, id_column=column
        )
        require_scores_of(model, versions, uri)
        return with_held_out(items, detector)
    if input_:
        items = score_items(detector, input_, labels=labels, groups=group, amounts=amount,
                            state=state, progress=progress)  # fmt: skip
        return with_held_out(items, detector)
    if labels or group or amount:
        raise click.UsageError("--labels, --group and --amount need --scores FILE or --input PATH.")
    return held_out_normals(detector)
