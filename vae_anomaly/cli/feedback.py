"""``vae-anomaly feedback import|show|sample``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table, show_progress
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
from vae_anomaly.words import number_of, verb_for

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.data.images.decode import ImageReading

SHOWN = 20


@click.group()
def feedback() -> None:
    """Keep what reviewers said of flagged items, for `threshold tune --feedback`.

    \b
    Examples:
      vae-anomaly feedback sample models:/cards@champion --scores flags/ --out decisions.csv
      vae-anomaly feedback import models:/cards@champion decisions.csv --who Ada
    """


@feedback.command("import")
@click.argument("model")
@click.argument("file", type=click.Path())
@click.option("--item", metavar="COLUMN", help="Names the items.  [default: item, id or path]")
@click.option("--verdict", metavar="COLUMN", help="Holds the verdicts.  [default: verdict, ...]")
@click.option("--who", metavar="NAME", help="Who reviewed, where FILE does not say.")
@click.option("--scores", multiple=True, metavar="FILE",
              help="Where the items were scored: refuse others; may be repeated.")  # fmt: skip
@allow_failed_option
@tracking_option
@json_option
def import_(model: str, file: str, item: str | None, verdict: str | None, who: str | None,
            scores: tuple[str, ...], allow_failed: bool, uri: str | None,
            as_json: bool) -> None:  # fmt: skip
    """Store the verdicts of FILE with the registered MODEL.

    FILE is CSV or parquet: an item and a verdict a row, `confirmed` or `false alarm` (also yes/no,
    1/0, fraud/legit, defect/good; empty = undecided). A column `audit` says yes for items drawn at
    random. The last verdict on an item counts. With --scores, verdicts on items that were never
    scored are refused by name, and nothing is stored.

    \b
    Examples:
      vae-anomaly feedback import models:/cards@champion decisions.csv --who Ada
      vae-anomaly feedback import models:/cards@champion decisions.csv --scores flags/
    """
    from vae_anomaly.evaluation import read_scores, read_verdicts, require_scored
    from vae_anomaly.tracking import import_feedback, registered_name

    name = registered_name(model)
    scored = [read_scores(source, allow_failed=allow_failed)[0] for source in scores]
    ids = (str(name) for items in scored for name in items.ids)
    read = read_verdicts(file, item=item, verdict=verdict, ids=ids)
    if scored:
        require_scored(read.frame, scored, file)
    done = import_feedback(name, read.frame, who=who, source=file, uri=uri)
    confirmed, audited = (int(read.frame[name].sum()) for name in ("is_anomaly", "audit"))
    document = {**asdict(done), "undecided": read.undecided, "repeated": read.repeated,
                "confirmed": confirmed, "audited": audited, "checked": bool(scores)}  # fmt: skip
    if emit(document, as_json=as_json):
        return
    click.echo(
        f"{number_of(done.imported, 'verdict')} of {file} {verb_for(done.imported)} stored with "
        f"{name}: {confirmed:,} confirmed, {number_of(done.imported - confirmed, 'false alarm')}; "
        f"{audited:,} on items drawn at random."
    )
    click.echo(f"{number_of(done.new, 'item')} {verb_for(done.new)} new, "
               f"{done.changed:,} changed their verdict; "
               f"{done.total:,} have one now.")  # fmt: skip
    for count, why in (
        (read.undecided, "without a verdict"),
        (read.repeated, "judged again below"),
    ):
        if count:
            click.echo(
                f"{number_of(count, 'row')} {why} {verb_for(count, 'was', 'were')} left out."
            )
    if not scores:
        click.echo("Whether these items were ever scored is not known; --scores flags/ checks it.")
    click.echo(
        f"\nNext: vae-anomaly threshold tune {typed(_full(model))} --scores flags/ "
        "--feedback --min-precision 0.5"
    )


@feedback.command()
@click.argument("model")
@tracking_option
@json_option
def show(model: str, uri: str | None, as_json: bool) -> None:
    """Show the verdicts stored with MODEL: how many, whose, and the latest.

    \b
    Example:
      vae-anomaly feedback show models:/cards@champion
    """
    from vae_anomaly.tracking import load_feedback, registered_name

    name = registered_name(model)
    verdicts = load_feedback(name, uri)
    document = {
        "model": name,
        "verdicts": len(verdicts),
        "confirmed": int(verdicts["is_anomaly"].sum()),
        "audited": int(verdicts["audit"].sum()),
        "items": verdicts.to_dict("records"),
    }
    if emit(document, as_json=as_json):
        return
    if not len(verdicts):
        click.echo(f"No verdicts on items of {name} yet. Store some: vae-anomaly feedback import")
        return
    click.echo(f"{name}: {_counts(verdicts)}")
    rows = [
        [str(v["item"]), "confirmed" if v["is_anomaly"] else "false alarm",
         "yes" if v["audit"] else "no", str(v["who"]), f"{v['when']:%Y-%m-%d %H:%M}"]
        for v in verdicts.iloc[::-1].head(SHOWN).to_dict("records")
    ]  # fmt: skip
    title = f"The latest {min(SHOWN, len(verdicts))} of {len(verdicts):,} (all with --json)"
    print_table(rows, ["item", "verdict", "at random", "by", "when (UTC)"], title)


@feedback.command()
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


def _full(model: str) -> str:
    return model if model.startswith("models:") else f"models:/{model}@champion"


def _counts(verdicts: pd.DataFrame) -> str:
    confirmed, audited = int(verdicts["is_anomaly"].sum()), int(verdicts["audit"].sum())
    by = ", ".join(f"{who} {n:,}" for who, n in verdicts["who"].value_counts().items())
    return (
        f"{number_of(len(verdicts), 'item')} {verb_for(len(verdicts), 'has', 'have')} a verdict: "
        f"{confirmed:,} confirmed, {number_of(len(verdicts) - confirmed, 'false alarm')}; "
        f"{audited:,} {verb_for(audited, 'was', 'were')} drawn at random. By {by}."
    )
