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
@click.argument("model", metavar="MODEL|FLAGS")
@click.option("--capacity", type=click.IntRange(min=1), default=100, show_default=True,
              help="Of FLAGS: items that can be looked at, audits apart.")  # fmt: skip
@click.option("--reserve", type=click.IntRange(min=0), default=10, show_default=True,
              help="Of FLAGS: how many of these are taken by score alone.")  # fmt: skip
@click.option("--audit", type=click.IntRange(min=0), default=15, show_default=True,
              help="Of FLAGS: items drawn at random from all others.")  # fmt: skip
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
def sample(model: str, capacity: int, reserve: int, audit: int, scores: str | None,
           input_: str | None, n: int, out: str, seed: int, allow_failed: bool, state: str | None,
           follow_links: bool, reading: ImageReading, uri: str | None,
           as_json: bool) -> None:  # fmt: skip
    """Write a sheet for reviewers: what they look at in the morning, and some items at random.

    FLAGS is the output folder of a night scored with --learn: the likeliest anomalies by what was
    learned, some by score alone, and some drawn at random; the column why says which. Of a MODEL
    with --scores or --input it has all flagged items, and others drawn at random.

    What is missed can only be learned from items drawn at random: they are marked in the column
    audit. Fill in the column verdict, then run `feedback import`. A sheet with verdicts is never
    written over.

    \b
    Examples:
      vae-anomaly feedback sample flags/ --capacity 100 --reserve 10 --audit 15 --out decisions.csv
      vae-anomaly feedback sample models:/cards@champion --scores flags/ --n 200
    """
    if not (scores or input_):
        _sample_night(model, capacity, reserve, audit, out, as_json)
        return
    from vae_anomaly.data.tables.sheets import write_sheet
    from vae_anomaly.evaluation import draw_audit, require_unfilled
    from vae_anomaly.files import replace_file
    from vae_anomaly.tracking import load

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


def _sample_night(
    flags: str, capacity: int, reserve: int, audit: int, out: str, as_json: bool
) -> None:
    from vae_anomaly.data.tables.sheets import write_sheet
    from vae_anomaly.evaluation import require_unfilled
    from vae_anomaly.files import replace_file
    from vae_anomaly.jobs.learning.sheet import review_sheet

    if flags.startswith("models:"):
        raise click.UsageError(
            "Say which items: give the output folder of a night scored with --learn, or add "
            "--scores FILE or --input PATH to the model."
        )
    require_unfilled(Path(out))
    sheet = review_sheet(flags, capacity, reserve, audit)
    with replace_file(Path(out)) as temporary:
        write_sheet(sheet.frame, temporary)
    document = {"likely": sheet.likely, "unusual": sheet.unusual, "drawn": sheet.audits,
                "of": sheet.items, "learned": sheet.learned, "written": out}  # fmt: skip
    if emit(document, as_json=as_json):
        return
    by = "probability" if sheet.learned else "score, for nothing is learned yet"
    click.echo(
        f"wrote {out}: of {number_of(sheet.items, 'item')} {sheet.likely:,} by {by}; "
        f"{sheet.unusual:,} more by score alone; {sheet.audits:,} at random."
    )
    name = sheet.model.rpartition("/")[0] or "MODEL"
    click.echo("Fill in the column verdict (confirmed or false alarm), then:")
    click.echo(f"  vae-anomaly feedback import {typed(f'models:/{name}@champion', out)}")
