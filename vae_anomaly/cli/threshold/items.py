"""On which items thresholds are measured: options shared by commands, and reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.options import (
    Decorator,
    bundle,
    class_names,
    defect_option,
    follow_links_option,
    good_option,
    groups_option,
    labels_option,
    limit_options,
    read_as,
    renamed,
    state_option,
    white_option,
)

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.detectors.protocol import AnyDetector
    from vae_anomaly.evaluation import ScoredItems
    from vae_anomaly.progress import Progress
    from vae_anomaly.tracking import ResolvedModel

POSITIVE = click.FloatRange(0, min_open=True)
NON_NEGATIVE = click.FloatRange(0)


@dataclass(frozen=True)
class ItemOptions:
    """What the options say of the items: where they are, and which of their columns mean what."""

    scores: str | None = None
    input_: str | None = None
    labels: str | None = None
    groups: str | None = None
    stake: str | None = None
    state: str | None = None
    good: tuple[str, ...] = ()
    defect: tuple[str, ...] = ()
    allow_failed: bool = False  # of scores
    whole: bool = False  # every image, whatever its folders are called
    follow_links: bool = False
    reading: ImageReading | None = None  # of images


def _item_options(
    max_pixels: int | None,
    max_bytes: int | None,
    max_frames: int | None,
    white: int | None,
    **said: Any,
) -> ItemOptions:
    return ItemOptions(reading=read_as(max_pixels, max_bytes, max_frames, white), **said)


allow_failed_option: Decorator = click.option(
    "--allow-failed", is_flag=True, help="Take --scores of a night that lacks a part of its input."
)
items_options = bundle(
    "where",
    _item_options,
    state_option,
    click.option("--scores", metavar="FILE", help="Output folder of `score`, or a file of scores."),
    allow_failed_option,
    click.option("--input", "input_", metavar="PATH", help="Images or tables, scored first."),
    labels_option(),
    groups_option(),
    good_option,
    defect_option,
    click.option("--stake", metavar="COLUMN", help="What a miss costs, times --cost-fn."),
    renamed("--amount", "--stake"),
    follow_links_option,
    white_option,
    *limit_options,
)
volume_option: Decorator = click.option("--volume", type=POSITIVE, help="Items a day.")


def find_items(
    detector: AnyDetector,
    model: ResolvedModel,
    uri: str | None,
    progress: Progress,
    where: ItemOptions,
) -> ScoredItems:
    """Return the items that the options name; without any, the held-out normals."""
    from vae_anomaly.evaluation import (
        held_out_normals,
        read_scores,
        require_scores_of,
        score_items,
        with_held_out,
    )

    if where.good + where.defect and not where.input_:
        raise click.UsageError("--good and --defect name folders of images: they need --input.")
    if where.scores and where.input_:
        raise click.UsageError("--scores and --input exclude each other: keep one.")
    if where.scores:
        ids = detector.schema_.id_column if detector.kind == "tabular" else None
        items, versions = read_scores(
            where.scores, id_column=ids, labels=where.labels, groups=where.groups,
            amounts=where.stake, allow_failed=where.allow_failed,
        )  # fmt: skip
        require_scores_of(model, versions, uri)
        return with_held_out(items, detector)
    if where.input_:
        items = score_items(
            detector, where.input_, labels=where.labels, groups=where.groups,
            amounts=where.stake, state=where.state,
            classes=class_names(where.good, where.defect), whole=where.whole,
            follow_links=where.follow_links, reading=where.reading, progress=progress,
        )  # fmt: skip
        return with_held_out(items, detector)
    if where.labels or where.groups or where.stake:
        raise click.UsageError("--labels, --groups and --stake need --scores FILE or --input PATH.")
    return held_out_normals(detector)
