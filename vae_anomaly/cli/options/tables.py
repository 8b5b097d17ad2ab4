"""Options for reading tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import click

from vae_anomaly.cli.options.common import groups_option, labels_option
from vae_anomaly.cli.options.declare import bundle

if TYPE_CHECKING:
    from vae_anomaly.data.tables.entity_histories import EntityColumns
    from vae_anomaly.jobs import TableColumns


class CellsSaid(TypedDict):
    """What a person has said of how cells are written, by column."""

    number_formats: dict[str, str]
    time_formats: dict[str, str]
    missing: dict[str, tuple[str, ...]]


def _entity_columns(
    entity: tuple[str, ...], time: str | None, amount: str | None
) -> EntityColumns | None:
    """Return what the three options declare; None where none of them was given."""
    from vae_anomaly.data.tables.entity_histories import EntityColumns

    if not entity and not time and not amount:
        return None
    if not entity or not time or not amount:
        raise click.UsageError(
            "--entity, --time and --amount belong together: give all three, such as "
            "--entity card --time at --amount euro."
        )
    return EntityColumns(entity, time, amount)


entity_options = bundle(
    "entities",
    _entity_columns,
    click.option("--entity", multiple=True, metavar="COLUMN",
                 help="Customer, card, machine, ...: compare a row with its own past. "
                 "May be given more than once; with --time and --amount."),
    click.option("--time", metavar="COLUMN", help="With --entity: when a row happened."),
    click.option("--amount", metavar="COLUMN", help="With --entity: the number that is compared."),
)  # fmt: skip


@dataclass(frozen=True)
class TableOptions:
    """How tables are read for training, as it was said."""

    labels: str | None
    schema_file: str | None
    kind: tuple[str, ...]
    ignore: tuple[str, ...]
    number_formats: tuple[str, ...]
    time_formats: tuple[str, ...]
    missing: tuple[str, ...]
    id_column: str | None
    groups: str | None

    @property
    def columns(self) -> TableColumns:
        """The same as a training takes it, the edited schema read."""
        from vae_anomaly.jobs import TableColumns, read_schema

        schema = read_schema(self.schema_file) if self.schema_file else None
        kinds = dict(map(_kind_of_column, self.kind)) | dict.fromkeys(self.ignore, "ignored")
        return TableColumns(
            schema,
            kinds,
            self.labels,
            self.id_column,
            self.groups,
            **_cells_said(self.number_formats, self.time_formats, self.missing),
        )

    def words(self) -> list[str]:
        """Return the same options for another command."""
        given = [
            ("--labels", self.labels),
            ("--id-column", self.id_column),
            ("--groups", self.groups),
            ("--schema", self.schema_file),
            *(("--kind", pair) for pair in self.kind),
            *(("--ignore", column) for column in self.ignore),
            *(("--number-format", pair) for pair in self.number_formats),
            *(("--time-format", pair) for pair in self.time_formats),
            *(("--missing", pair) for pair in self.missing),
        ]
        return [word for option, value in given if value for word in (option, value)]


def _kind_of_column(pair: str) -> tuple[str, str]:
    """Read one ``--kind``."""
    column, equals, kind = pair.rpartition("=")
    if not equals or not column:
        raise click.BadParameter(
            f"{pair!r} is not COLUMN=KIND. Write for example shop=categorical.", param_hint="--kind"
        )
    return column, kind


def _formats(pairs: Sequence[str], option: str, example: str) -> dict[str, str]:
    """Read each COLUMN=FORMAT of an option."""
    formats = {}
    for pair in pairs:
        column, _, form = pair.partition("=")
        if not column or not form:
            raise click.BadParameter(
                f"{pair!r} is not COLUMN=FORMAT. Write for example {example}.", param_hint=option
            )
        formats[column] = form
    return formats


def _words(pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read each ``--missing``: the words of a column, those for all of them under ""."""
    words: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        column, equals, word = pair.partition("=")
        name, word = (column, word) if column and equals else ("", pair)
        words[name] = (*words.get(name, ()), word)
    return words


_CELL_OPTIONS = (
    click.option("--number-format", "number_formats", multiple=True, metavar="COLUMN=FORMAT",
                 help="How numbers are written: 1,234.5 or 1.234,5 or, with a unit, '1.234,5 €'."),
    click.option("--time-format", "time_formats", multiple=True, metavar="COLUMN=FORMAT",
                 help="How times are written: iso, day_first, month_first, ..., or %d.%m.%Y."),
    click.option("--missing", multiple=True, metavar="[COLUMN=]WORD",
                 help="A word or number that stands for a missing cell, such as amount=-999."),
)  # fmt: skip


def _cells_said(
    number_formats: tuple[str, ...], time_formats: tuple[str, ...], missing: tuple[str, ...]
) -> CellsSaid:
    return {
        "number_formats": _formats(
            number_formats,
            "--number-format",
            "amount=1.234,5 where the comma is the decimal sign",
        ),
        "time_formats": _formats(time_formats, "--time-format", "at=day_first"),
        "missing": _words(missing),
    }


cell_options = bundle("cells", _cells_said, *_CELL_OPTIONS)
table_options = bundle(
    "reading",
    TableOptions,
    labels_option("Rows with 1 are left out. COLUMN, or FILE:COLUMN joined by id."),
    click.option("--schema", "schema_file", metavar="FILE", help="An edited `data schema`."),
    click.option("--kind", multiple=True, metavar="COLUMN=KIND",
                 help="numeric, categorical, boolean, timestamp, identifier, ignored."),
    click.option("--ignore", multiple=True, metavar="COLUMN", help="Keep a column from the model."),
    *_CELL_OPTIONS,
    click.option("--id-column", metavar="COLUMN", help="Names a row; never read by a model."),
    groups_option("Customer, machine, ...: held out together."),
)  # fmt: skip
