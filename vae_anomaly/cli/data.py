"""``vae-anomaly data check`` and ``vae-anomaly data schema``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vae_anomaly.cli.console import emit, show_progress
from vae_anomaly.cli.options import (
    CellsSaid,
    TableOptions,
    cell_options,
    class_options,
    entity_options,
    json_option,
    labels_option,
    one_or_all,
    table_options,
    training_image_options,
)
from vae_anomaly.cli.proposal import print_proposal
from vae_anomaly.errors import DataError
from vae_anomaly.names import printable, typed
from vae_anomaly.words import names_of, number_of, shortened

if TYPE_CHECKING:
    from vae_anomaly.data.doctor import Finding, Report
    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.data.images.folders import ClassNames
    from vae_anomaly.data.tables.entity_histories import EntityColumns

ITEMS_SHOWN = 5
ENTRIES_SHOWN = 40


@click.group()
def data() -> None:
    """Check images or tables before training; show a schema.

    \b
    Examples:
      vae-anomaly data check tiles/
      vae-anomaly data schema days/2024-05-01.parquet --out cards.schema.json
    """


@data.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@labels_option("Label column of a table.")
@cell_options
@class_options
@click.option("--groups-out", metavar="FILE",
              help="Write the groups that names or images suggest, for training.")  # fmt: skip
@training_image_options
@json_option
def check(
    paths: tuple[str, ...],
    labels: str | None,
    cells: CellsSaid,
    classes: ClassNames,
    groups_out: str | None,
    follow_links: bool,
    reading: ImageReading,
    as_json: bool,
) -> None:
    """Look for what would spoil a training: damage, duplicates, shortcuts, too little.

    PATH is a folder of images, a manifest, or tables; several are looked at together. Exit code 3
    when something would be refused; warnings and notes end with 0.

    \b
    Examples:
      vae-anomaly data check tiles/
      vae-anomaly data check tiles/ --groups-out tiles/groups.csv
      vae-anomaly data check 'days/*.parquet' --labels is_fraud
    """
    from vae_anomaly.data.doctor import check_path

    with show_progress() as progress:
        report = check_path(
            one_or_all(paths), label=labels, classes=classes, follow_links=follow_links,
            reading=reading, progress=progress, **cells,
        )  # fmt: skip
    if groups_out is not None:
        _write_groups(report, Path(groups_out))
    if not emit(report.to_dict(), as_json=as_json):
        _print_report(report, paths)
    if report.has_errors:
        raise DataError(
            f"{report.source} holds what training or scoring would refuse. Repair what is marked "
            "ERROR, then check again."
        )


@data.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@table_options
@entity_options
@click.option("--out", metavar="FILE", help="Write it there instead of printing it.")
@json_option
def schema(
    paths: tuple[str, ...],
    reading: TableOptions,
    entities: EntityColumns | None,
    out: str | None,
    as_json: bool,
) -> None:
    """Propose what the columns of the tables at PATH are to a model, as JSON to be edited.

    Left out is what a person would leave out: who, where someone lives, counters, the answer.
    Change a column's kind (numeric, categorical, boolean, timestamp, identifier, ignored) and give
    the file to `vae-anomaly train table --schema`. It takes the options by which `train table`
    reads tables, and says what that would. The same as a table goes to stderr, unless --json is
    given.

    \b
    Examples:
      vae-anomaly data schema days/2024-05-01.parquet
      vae-anomaly data schema 'days/*.parquet' --labels is_fraud --out cards.schema.json
      vae-anomaly data schema april/ may/ --ignore note --kind shop=categorical
    """
    from vae_anomaly.files import replace_file
    from vae_anomaly.jobs import schema_of_tables

    with show_progress() as progress:
        schema = schema_of_tables(paths, reading.columns, entities=entities, progress=progress)
    if out is not None:
        with replace_file(Path(out)) as temporary:
            temporary.write_text(schema.to_json(), encoding="utf-8")
        if not emit({"schema": out, **schema.to_dict()}, as_json=as_json):
            print_proposal(schema.columns, schema.label, title=f"Wrote {out}")
            words = [*paths, *replace(reading, schema_file=out, kind=(), ignore=()).words()]
            if entities is not None:
                words += entities.options
            click.echo(f"Edit it, then: vae-anomaly train table {typed(*words)} --name NAME")
    elif not emit(schema.to_dict(), as_json=as_json):
        click.echo(schema.to_json(), nl=False)
        print_proposal(schema.columns, schema.label, err=True)


def _write_groups(report: Report, file: Path) -> None:
    """Write path and group of each image; nothing where none are suggested."""
    import csv

    from vae_anomaly.files import replace_file

    if not report.groups:
        click.echo(f"No groups are suggested: {file} is not written.", err=True)
        return
    with replace_file(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("path", "group"), *report.groups.items()])
    click.echo(
        f"Wrote {file}: {number_of(len(set(report.groups.values())), 'group')} of "
        f"{number_of(len(report.groups), 'image')}. Look whether they are right.",
        err=True,
    )


def _print_report(report: Report, paths: Sequence[str]) -> None:
    click.echo(f"{report.source}{_summary(report.summary)}")
    for finding in report.findings:
        _print_finding(finding)
    if not report.findings:
        click.echo("Nothing to complain about.")
    noun = "images" if report.kind == "images" else "table"
    if not report.has_errors:
        click.echo(f"\nTrain on it: vae-anomaly train {noun} {typed(*paths)} --name NAME")


def _print_finding(finding: Finding) -> None:
    click.echo(f"\n{finding.severity.value.upper():<8}{printable(shortened(finding.message))}")
    click.echo(f"        {printable(shortened(finding.remedy))}")
    if finding.items:
        more = f" and {finding.n_items - ITEMS_SHOWN} more" * (finding.n_items > ITEMS_SHOWN)
        click.echo(f"        {names_of(finding.items[:ITEMS_SHOWN], ITEMS_SHOWN)}{more}")


def _summary(summary: Mapping[str, object]) -> str:
    """Say the numbers in one line each: counts as they are, dictionaries as their first entries."""
    lines = [""]
    for key, value in summary.items():
        words = value
        if isinstance(value, Mapping):
            words = _entries(value)
        if words != "":
            lines.append(f"{key.replace('_', ' ')}: {_number(words)}")
    return "\n  ".join(lines)


def _entries(entries: Mapping[str, object]) -> str:
    """List the first entries of a dictionary, numbered names of one kind together."""
    from vae_anomaly.data.tables.families import told_together

    said = told_together((names_of([name]), _number(value)) for name, value in entries.items())
    shown = ", ".join(f"{name} {value}" for name, value in said[:ENTRIES_SHOWN])
    return shown + f" and {len(said) - ENTRIES_SHOWN:,} more" * (len(said) > ENTRIES_SHOWN)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value}"
