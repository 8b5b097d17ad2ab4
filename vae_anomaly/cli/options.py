"""Options that mean the same in every command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

if TYPE_CHECKING:
    from vae_anomaly.data.tables.entity_histories import EntityColumns

Command = TypeVar("Command", bound=Callable[..., object])


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

    Parameters
    ----------
    old, new : str
        With their dashes: ``@renamed("--fpr", "--target-fpr")``.
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


def json_option(command: Command) -> Command:
    """Add ``--json``: one JSON document on stdout instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def tracking_option(command: Command) -> Command:
    """Add ``--tracking-uri``: where MLflow keeps runs and models."""
    return click.option(
        "--tracking-uri",
        "uri",
        metavar="URI",
        help="MLflow store.  [default: MLFLOW_TRACKING_URI, else ./vae-anomaly-store]",
    )(command)


def device_option(command: Command) -> Command:
    """Add ``--device``: where networks compute; models of tables stay on the processor."""
    return click.option(
        "--device",
        metavar="WHERE",
        default="cpu",
        show_default=True,
        help="Where a model of pictures computes: cpu, cuda, cuda:N, or auto, a GPU where there "
        "is one.",
    )(command)


def seed_option(command: Command) -> Command:
    """Add ``--seed``: the same seed and input give the same model on the same machine."""
    return click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed."
    )(command)


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


def state_option(command: Command) -> Command:
    """Add ``--state``: where the entities' histories go on from."""
    return click.option(
        "--state",
        metavar="PATH",
        help="Histories to go on from: output folder of `score table`, or a file of its state/."
        "  [default: the model's]",
    )(command)


def entity_options(command: Command) -> Command:
    """Add ``--entity``, ``--time`` and ``--amount``."""
    return add_options(
        [
            click.option("--entity", "entities", multiple=True, metavar="COLUMN",
                         help="Customer, card, machine, ...: compare a row with its own past. "
                         "May be given more than once; with --time and --amount."),
            click.option("--time", "time_column", metavar="COLUMN",
                         help="With --entity: when a row happened."),
            click.option("--amount", "amount_column", metavar="COLUMN",
                         help="With --entity: the number that is compared."),
        ]
    )(command)  # fmt: skip


def declared_entities(
    entities: tuple[str, ...], time: str | None, amount: str | None
) -> EntityColumns | None:
    """Return what the three options declare; None where none of them was given."""
    from vae_anomaly.data.tables.entity_histories import EntityColumns

    if not entities and not time and not amount:
        return None
    if not entities or not time or not amount:
        raise click.UsageError(
            "--entity, --time and --amount belong together: give all three, such as "
            "--entity card --time at --amount euro."
        )
    return EntityColumns(entities, time, amount)


def table_options(command: Command) -> Command:
    """Add what says how tables are read for training: labels, schema, kinds, ids, groups."""
    return add_options(
        [
            labels_option("Rows with 1 are left out. COLUMN, or FILE:COLUMN joined by id."),
            click.option("--schema", "schema_file", metavar="FILE",
                         help="An edited `data schema`."),
            click.option("--kind", "kinds", multiple=True, metavar="COLUMN=KIND",
                         help="numeric, categorical, boolean, timestamp, identifier, ignored."),
            click.option("--ignore", multiple=True, metavar="COLUMN",
                         help="Keep a column from the model."),
            click.option("--id-column", metavar="COLUMN",
                         help="Names a row; never read by a model."),
            groups_option("Customer, machine, ...: held out together."),
        ]
    )(command)  # fmt: skip


def kinds_of(pairs: tuple[str, ...], ignored: tuple[str, ...]) -> dict[str, str]:
    """Return the kinds that ``--kind`` and ``--ignore`` declare, by column."""
    kinds = {}
    for pair in pairs:
        column, equals, kind = pair.rpartition("=")
        if not equals or not column:
            raise click.BadParameter(
                f"{pair!r} is not COLUMN=KIND. Write for example shop=categorical.",
                param_hint="--kind",
            )
        kinds[column] = kind
    return kinds | dict.fromkeys(ignored, "ignored")
