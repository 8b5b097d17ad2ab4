"""``vae-anomaly inspect``."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
from vae_anomaly.cli.options import (
    device_option,
    image_options,
    json_option,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.reports.facts.inspect import EVIDENCE

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.evaluation import Inspection
    from vae_anomaly.reports.facts.inspect import InspectFacts

MAX_REGIONS = 5
MAX_PARTS = 5


@click.command("inspect")
@click.argument("model")
@click.argument("items", metavar="ITEM...", nargs=-1, required=True)
@click.option("--row", type=click.IntRange(min=1), help="Row of the table, counted from 1.")
@click.option("--id", "identifier", metavar="ID", help="Row with this value in the id column.")
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True,
              help="Reasons of an item, and rows of a table that names none.")  # fmt: skip
@click.option("--out", metavar="DIR", default="inspect", show_default=True,
              help="Folder for the cards of images.")  # fmt: skip
@click.option("--html", "page", metavar="FILE", help="Write the same as one page to look at.")
@state_option
@image_options
@device_option
@threads_option
@tracking_option
@json_option
def inspect_(model: str, items: tuple[str, ...], row: int | None, identifier: str | None, top: int,
             out: str, page: str | None, state: str | None, follow_links: bool,
             reading: ImageReading, device: str, uri: str | None,
             as_json: bool) -> None:  # fmt: skip
    """Say why an image or a row was flagged, or why not.

    ITEM is an image or a folder of them; or a table: FILE:ROW, FILE with --row or --id, or FILE
    alone for its strangest rows. Of each image a card is drawn: image and heatmap.

    \b
    Examples:
      vae-anomaly inspect models:/tiles@champion tonight/part_0042.png
      vae-anomaly inspect models:/cards@champion days/2024-05-01.parquet:17
      vae-anomaly inspect models:/cards@champion days/2024-05-01.parquet --id 5000817
      vae-anomaly inspect models:/tiles@champion tonight/part_0042.png --html why.html
    """
    from vae_anomaly.evaluation import inspect_images
    from vae_anomaly.evaluation.inspection import find_rows, inspect_rows
    from vae_anomaly.evaluation.shown_items import PageItems
    from vae_anomaly.tracking import load

    detector, resolved = load(model, uri, device=device)
    shown = PageItems(detector, resolved.label) if page else None
    with show_progress() as progress:
        if detector.kind == "image":
            _refuse_rows(row, identifier)
            inspections = inspect_images(
                detector,
                items,
                out,
                top=top,
                reading=reading,
                follow_links=follow_links,
                progress=progress,
                look=shown.add_image if shown else None,
            )
        else:
            inspections = []
            for done, item in enumerate(items, start=1):
                found = find_rows(
                    detector, item, row=row, identifier=identifier, top=top, state=state
                )
                look = partial(shown.add_rows, found) if shown else None
                inspections += inspect_rows(detector, found.frame, found.names, top=top, look=look)
                progress("inspect", done, len(items))
    document = {"model": resolved.label, "items": [asdict(one) for one in inspections]}
    if shown and page:
        _write(shown.facts(), page)
        document["page"] = page
    if not emit(document, as_json=as_json):
        for one in inspections:
            _print(one)
        if page:
            click.echo(f"\nPage: {page}")


def _write(facts: InspectFacts, page: str) -> None:
    from vae_anomaly.reports.pages.inspect import inspect_page
    from vae_anomaly.reports.pages.page import write_page

    write_page(inspect_page(facts), page)


def _refuse_rows(row: int | None, identifier: str | None) -> None:
    if row is not None or identifier is not None:
        raise click.UsageError("--row and --id are for tables; this model looks at images.")


def _print(one: Inspection) -> None:
    from vae_anomaly.reports.pages.numbers import nats

    verdict = "ANOMALY" if one.is_anomaly else "normal"
    side = "above" if one.is_anomaly else "not above"
    click.echo(f"\n{one.id}: {verdict}")
    click.echo(f"  {one.words}")
    marked = ", extrapolated" if one.is_extrapolated else ""
    click.echo(
        f"  score {one.anomaly_score:.3f}{marked}, {side} the threshold {one.threshold:.3f}; "
        f"p-value {one.p_value:.2g}"
    )
    for number, reason in enumerate(one.reasons, start=1):
        click.echo(f"  {number}. {reason}")
    if not one.reasons:
        click.echo("  nothing about it stands out")
    if one.contributions:
        top = list(one.contributions.items())[:MAX_PARTS]
        click.echo("  nats by column: " + ", ".join(f"{name} {value:+.2f}" for name, value in top))
    if one.regions:
        _print_regions(one.regions)
    shown = ((name, value) for name, value in one.evidence.items() if name in EVIDENCE)
    click.echo("  evidence in nats: " + ", ".join(f"{EVIDENCE[k]} {nats(v)}" for k, v in shown))
    if one.image:
        click.echo(f"  card: {one.image}")


def _print_regions(regions: tuple[dict[str, float], ...]) -> None:
    rows = [
        [str(rank), f"{r['left']:.0f}-{r['right']:.0f}", f"{r['top']:.0f}-{r['bottom']:.0f}",
         f"{r['area_share']:.2%}", f"{r['peak']:.1f}", f"{r['peak_x']:.0f}, {r['peak_y']:.0f}"]
        for rank, r in enumerate(regions[:MAX_REGIONS], start=1)
    ]  # fmt: skip
    more = len(regions) - MAX_REGIONS
    title = "Hottest regions" + (f" ({more} more in --json)" if more > 0 else "")
    print_table(
        rows, ["region", "x, pixels", "y, pixels", "of the area", "peak, sd", "at x, y"], title
    )
