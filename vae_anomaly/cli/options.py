"""Options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypedDict, TypeVar

import click

from vae_anomaly.detectors.parameters import DEVICE, Allowed, Number, OneOf, Parameter, Whole

if TYPE_CHECKING:
    from vae_anomaly.data.tables.entity_histories import EntityColumns
    from vae_anomaly.jobs import Destination, TableColumns

Command = TypeVar("Command", bound=Callable[..., object])
Body = Callable[..., None]
FORMER = {"--target-fpr": "--fpr"}


class CellsSaid(TypedDict):
    """What a person has said of how cells are written, by column."""

    number_formats: dict[str, str]
    time_formats: dict[str, str]
    missing: dict[str, tuple[str, ...]]


class Decorator(Protocol):
    """What adds options to a command."""

    def __call__(self, command: Command, /) -> Command:
        """Return the command with the options."""


def add_options(options: Sequence[Decorator]) -> Decorator:
    """Return a decorator that adds options; the help lists them in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def renamed(old: str, new: str) -> Decorator:
    """Keep an option's former name for one version: not in the help, with a note on stderr.

    The decorator of the option ``new`` itself stands beside this one. Its value comes from the old
    name only where the new one is not given; what is wrong with it is told of the new one.
    """

    def hand_over(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is None:
            return
        click.echo(f"{old} is now called {new}; the old name goes with the next version", err=True)
        name = next(str(param.name) for param in ctx.command.params if new in param.opts)
        ctx.default_map = {**(ctx.default_map or {}), name: value}

    return click.option(
        old,
        f"former_{old.strip('-').replace('-', '_')}",
        hidden=True,
        is_eager=True,
        expose_value=False,
        callback=hand_over,
        help=f"Now {new}.",
    )


def bundle(into: str, make: Callable[..., object], *options: Decorator) -> Callable[[Body], Body]:
    """Return a decorator that adds options; the command gets what is made of them as ``into``."""
    params = click.command()(add_options(options)(lambda: None)).params
    names = [str(param.name) for param in params if param.expose_value]

    def add(command: Body) -> Body:
        @wraps(command)
        def call(**given: object) -> None:
            value = make(**{name: given.pop(name) for name in names})
            command(**{into: value}, **given)

        return add_options(options)(call)

    return add


json_option: Decorator = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document."
)
tracking_option: Decorator = click.option(
    "--tracking-uri", "uri", metavar="URI",
    help="MLflow store.  [default: MLFLOW_TRACKING_URI, else ./vae-anomaly-store]",
)  # fmt: skip


def at_store(uri: str | Path | None) -> list[str]:
    """Return the words that name the same store in the next command, without its password."""
    from vae_anomaly.tracking.store import displayed

    return ["--tracking-uri", displayed(str(uri))] if uri else []


def look_at(store: str) -> str:
    """Say how to look at a store: a server has pages of its own."""
    return store if store.startswith("http") else f"mlflow ui --backend-store-uri {store}"


seed_option: Decorator = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
)
state_option: Decorator = click.option(
    "--state", metavar="PATH",
    help="Histories to go on from: output folder of `score table`, or a file of its state/."
    "  [default: the model's]",
)  # fmt: skip


def parameter_option(parameter: Parameter) -> Decorator:
    """Return the option of a detector's parameter, as it is declared."""
    allowed, default = parameter.allowed, parameter.default
    unless = f"  [default: {parameter.unless}]" if parameter.unless else ""
    if parameter.option_default is not None:
        default, unless = parameter.option_default, ""
    return click.option(
        parameter.flag,
        parameter.name,
        type=_kind_of(allowed),
        callback=_as_declared(allowed) if isinstance(allowed, OneOf) else None,
        default=default,
        show_default=default is not None,
        metavar=parameter.metavar or {Whole: "N", Number: "X"}.get(type(allowed)),
        help=parameter.help.replace("`", "") + unless,
    )


def _kind_of(
    allowed: Allowed,
) -> click.Choice[str] | click.IntRange | click.FloatRange | type[str]:
    if isinstance(allowed, OneOf):
        return click.Choice([str(value) for value in allowed.values])
    if isinstance(allowed, Whole):
        return click.IntRange(min=allowed.least)
    if isinstance(allowed, Number):
        return click.FloatRange(
            allowed.low, allowed.high, min_open=allowed.above, max_open=allowed.below
        )
    return str


def _as_declared(
    allowed: OneOf,
) -> Callable[[click.Context, click.Parameter, str | None], str | int | None]:
    """Turn the text of a choice into the word or number that was declared."""
    known = {str(value): value for value in allowed.values}
    return lambda _, __, text: None if text is None else known[text]


def detector_options(parameters: Sequence[Parameter]) -> Callable[[Body], Body]:
    """Add an option for each parameter; the command gets ``parameters``, a dict by their names."""
    options = [parameter_option(parameter) for parameter in parameters]
    former = [renamed(FORMER[p.flag], p.flag) for p in parameters if p.flag in FORMER]
    return bundle("parameters", dict, *options, *former)


device_option = parameter_option(DEVICE)


def labels_option(
    help_: str = "Column of labels, or FILE:COLUMN joined by id.",
) -> Decorator:
    """Add ``--labels``: what says which items are anomalies."""
    option = click.option("--labels", metavar="COLUMN", help=help_)
    return add_options([option, renamed("--label", "--labels")])


def groups_option(help_: str = "Items of one group stay together.") -> Decorator:
    """Add ``--groups``: a column whose equal values belong together."""
    option = click.option("--groups", metavar="COLUMN", help=help_)
    return add_options([option, renamed("--group", "--groups")])


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


def entity_words(columns: EntityColumns) -> list[str]:
    """Return the same options for another command."""
    entities = [word for entity in columns.entities for word in ("--entity", entity)]
    return [*entities, "--time", columns.time, "--amount", columns.amount]


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


def _destination(
    name: str | None,
    alias: str,
    no_alias: bool,
    out: str | None,
    no_register: bool,
    uri: str | None,
) -> Destination:
    from vae_anomaly.jobs import Destination

    if no_register and not out:
        raise click.UsageError("--no-register keeps the model nowhere: give --out DIR as well.")
    if not no_register and not name:
        raise click.UsageError("Give --name NAME, or --out DIR with --no-register.")
    return Destination(
        name=None if no_register else name,
        alias=None if no_alias else alias,
        folder=out,
        uri=uri,
        evidence="trained on the command line",
    )


destination_options = bundle(
    "destination",
    _destination,
    click.option("--name", help="Name in the model registry."),
    click.option("--alias", default="champion", show_default=True,
                 help="Alias that moves to the new version."),
    click.option("--no-alias", is_flag=True, help="Move no alias; promote it later."),
    click.option("--out", metavar="DIR", help="Save the model folder there as well."),
    click.option("--no-register", is_flag=True, help="With --out: the folder only."),
    tracking_option,
)  # fmt: skip
