"""``vae-anomaly feedback sample``: a sheet for reviewers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, show_progress
from vae_anomaly.cli.options import (
    image_options,
    json_option,
    seed_option,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.cli.threshold.items import ItemOptions, allow_failed_option, find_items
from vae_anomaly.names import typed
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.data.images.decode import ImageReading


@click.command()
@click.argument("model")
@click.option("--scores", metavar="FILE", help="Output folder of `score`, or a file of scores.")
@allow_failed_option
@click.option("--input", "input_", metavar="PATH", help="Images or tables, scored first.")
@click.option("--n", type=click.IntRange(min=1), default=100, show_default=True,
              help="Unflagged items to be drawn.")  # fmt: skip
@click.option("--out", metavar="FILE", default="decisions.csv", show_default=True,
              help="Sheet for the reviewers.")  # fmt: skip
@state_option
@image_options
@threads_option
@seed_option
@tracking_option
@json_option
def sample(model: str, scores: str | None, input_: str | None, n: int, out: str, seed: int,
           allow_failed: bool, state: str | None, follow_links: bool, reading: ImageReading,
           uri: str | None, as_json: bool) -> None:  # fmt: skip
    """Write a sheet for reviewers: the flagged items, and some others drawn at random.

    What is missed can only be learned from items that were not flagged and drawn at random: they
    are marked in the column audit. Fill in the column verdict, then run `feedback import`. A sheet
    with verdicts is never written over.

    \b
    Example:
      vae-anomaly feedback sample models:/cards@champion --scores flags/ --n 200
    """
    from vae_anomaly.data.tables.sheets import write_sheet
    from vae_anomaly.evaluation import draw_audit, require_unfilled
    from vae_anomaly.files import replace_file
    from vae_anomaly.tracking import load

    if not (scores or input_):
        raise click.UsageError("Say which items: add --scores FILE or --input PATH.")
    require_unfilled(Path(out))
    detector, resolved = load(model, uri)
    with show_progress() as progress:
        where = ItemOptions(scores=scores, allow_failed=allow_failed, input_=input_,
                            state=state, whole=True, follow_links=follow_links,
                            reading=reading)  # fmt: skip
        items = find_items(detector, resolved, uri, progress, where)
    flagged = items.flagged_by(detector.threshold_.value)
    sheet = draw_audit(items, flagged, n, seed)
    with replace_file(Path(out)) as temporary:
        write_sheet(sheet, temporary)
    drawn, n_flagged = int((sheet["audit"] == "yes").sum()), int(flagged.sum())
    document = {"flagged": n_flagged, "drawn": drawn, "of": len(items), "written": out}
    if not emit(document, as_json=as_json):
        click.echo(f"wrote {out}: {number_of(n_flagged, 'flagged item')} and {drawn:,} of the "
                   f"{len(items) - n_flagged:,} others, drawn at random.")  # fmt: skip
        click.echo("Fill in the column verdict (confirmed or false alarm), then:")
        click.echo(f"  vae-anomaly feedback import {typed(model, out)}")
