"""``vae-anomaly feedback import|show|withdraw``: verdicts that are stored with a model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, print_table
from vae_anomaly.cli.options import json_option, tracking_option
from vae_anomaly.cli.threshold.items import allow_failed_option
from vae_anomaly.names import typed
from vae_anomaly.words import names_of, number_of, verb_for

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.tracking import FeedbackImport

SHOWN = 20


@click.command("import")
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
    scored are refused by name, and nothing is stored. Items that no night with --learn has kept,
    from which nothing can be learned, are named.

    \b
    Examples:
      vae-anomaly feedback import models:/cards@champion decisions.csv --who Ada
      vae-anomaly feedback import models:/cards@champion decisions.csv --scores flags/
    """
    from vae_anomaly.evaluation import read_scores, read_verdicts, require_scored
    from vae_anomaly.jobs.learning.merged import never_kept
    from vae_anomaly.tracking import import_feedback, registered_name
    from vae_anomaly.tracking.reviews.imports import SHOWN_OF_RUN
    from vae_anomaly.tracking.reviews.kept import kept_nights

    name = registered_name(model)
    scored = [read_scores(source, allow_failed=allow_failed)[0] for source in scores]
    ids = (str(name) for items in scored for name in items.ids)
    read = read_verdicts(file, item=item, verdict=verdict, ids=ids)
    if scored:
        require_scored(read.frame, scored, file)
    done = import_feedback(name, read.frame, who=who, source=file, uri=uri)
    nights = kept_nights(name, uri)
    missing = never_kept(nights, list(map(str, read.frame["item"]))) if nights else []
    confirmed, audited = (int(read.frame[name].sum()) for name in ("is_anomaly", "audit"))
    document = {**asdict(done), "undecided": read.undecided, "repeated": read.repeated,
                "confirmed": confirmed, "audited": audited, "checked": bool(scores),
                "never_kept": missing}  # fmt: skip
    if emit(document, as_json=as_json):
        return
    click.echo(
        f"{number_of(done.imported, 'verdict')} of {file} {verb_for(done.imported)} stored with "
        f"{name}: {confirmed:,} confirmed, {number_of(done.imported - confirmed, 'false alarm')}; "
        f"{audited:,} on items drawn at random."
    )
    click.echo(f"{number_of(done.new, 'item')} {verb_for(done.new)} new, "
               f"{done.changed:,} changed their verdict; "
               f"{done.total:,} have one now. "
               f"This is import {done.run_id[:SHOWN_OF_RUN]}.")  # fmt: skip
    for count, why in (
        (read.undecided, "without a verdict"),
        (read.repeated, "judged again below"),
    ):
        if count:
            click.echo(
                f"{number_of(count, 'row')} {why} {verb_for(count, 'was', 'were')} left out."
            )
    if missing:
        click.echo(
            f"Nothing is learned from {number_of(len(missing), 'item')} that no night has kept: "
            f"{names_of(missing)}. Take items of `vae-anomaly feedback sample FLAGS`."
        )
    elif not (scores or nights):
        click.echo("Whether these items were ever scored is not known; --scores flags/ checks it.")
    if nights:
        click.echo(f"\nNext: vae-anomaly feedback learn {typed(_full(model))}")
        return
    click.echo(
        f"\nNext: vae-anomaly threshold tune {typed(_full(model))} --scores flags/ "
        "--feedback --min-precision 0.5"
    )


@click.command()
@click.argument("model")
@tracking_option
@json_option
def show(model: str, uri: str | None, as_json: bool) -> None:
    """Show the verdicts stored with MODEL: how many, whose, the latest, and the imports.

    \b
    Example:
      vae-anomaly feedback show models:/cards@champion
    """
    from vae_anomaly.tracking import list_imports, load_feedback, registered_name

    name = registered_name(model)
    verdicts, imports = load_feedback(name, uri), list_imports(name, uri)
    document = {
        "model": name,
        "verdicts": len(verdicts),
        "confirmed": int(verdicts["is_anomaly"].sum()),
        "audited": int(verdicts["audit"].sum()),
        "items": verdicts.to_dict("records"),
        "imports": [asdict(one) for one in imports],
    }
    if emit(document, as_json=as_json):
        return
    if not imports:
        click.echo(f"No verdicts on items of {name} yet. Store some: vae-anomaly feedback import")
        return
    if len(verdicts):
        _print_latest(name, verdicts)
    _print_imports(name, imports)


def _print_latest(name: str, verdicts: pd.DataFrame) -> None:
    click.echo(f"{name}: {_counts(verdicts)}")
    rows = [
        [str(v["item"]), "confirmed" if v["is_anomaly"] else "false alarm",
         "yes" if v["audit"] else "no", str(v["who"]), f"{v['when']:%Y-%m-%d %H:%M}"]
        for v in verdicts.iloc[::-1].head(SHOWN).to_dict("records")
    ]  # fmt: skip
    title = f"The latest {min(SHOWN, len(verdicts))} of {len(verdicts):,} (all with --json)"
    print_table(rows, ["item", "verdict", "at random", "by", "when (UTC)"], title)


def _print_imports(name: str, imports: list[FeedbackImport]) -> None:
    from vae_anomaly.tracking.reviews.imports import SHOWN_OF_RUN

    rows = [
        [one.run_id[:SHOWN_OF_RUN], f"{one.when:%Y-%m-%d %H:%M}", one.who, f"{one.verdicts:,}",
         one.source or "-", "" if one.withdrawn is None
         else f"{one.withdrawn:%Y-%m-%d %H:%M} by {one.withdrawn_by}"]
        for one in imports[:SHOWN]
    ]  # fmt: skip
    header = ["import", "when (UTC)", "by", "verdicts", "from", "withdrawn (UTC)"]
    title = f"The latest {len(rows)} of {number_of(len(imports), 'import')} (all with --json)"
    print_table(rows, header, title)
    click.echo(f"Take one back: vae-anomaly feedback withdraw {typed(name)} IMPORT")


@click.command()
@click.argument("model")
@click.argument("run", metavar="IMPORT")
@click.option("--who", metavar="NAME", help="Who withdraws it.  [default: the user]")
@tracking_option
@json_option
def withdraw(model: str, run: str, who: str | None, uri: str | None, as_json: bool) -> None:
    """Take back the verdicts of one IMPORT of MODEL: they count nowhere from now on.

    IMPORT is what `feedback import` and `feedback show` call it. Who withdrew it, and when, stays
    on the record; to undo it, import the file again.

    \b
    Example:
      vae-anomaly feedback withdraw models:/cards@champion 1f4be0a2
    """
    from vae_anomaly.tracking import load_feedback, registered_name, withdraw_import
    from vae_anomaly.tracking.reviews.imports import SHOWN_OF_RUN

    name = registered_name(model)
    done = withdraw_import(name, run, uri, who=who)
    left = len(load_feedback(name, uri))
    if emit({**asdict(done), "model": name, "total": left}, as_json=as_json):
        return
    click.echo(
        f"Import {done.run_id[:SHOWN_OF_RUN]} of {name} is withdrawn: "
        f"{number_of(done.verdicts, 'verdict')} that {done.who} imported on "
        f"{done.when:%Y-%m-%d %H:%M} UTC. {number_of(left, 'item')} "
        f"{verb_for(left, 'has', 'have')} a verdict now."
    )


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
