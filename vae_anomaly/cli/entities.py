"""Options of commands that look at what a row is to its entity's own past."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vae_anomaly.data.tables.entity_histories import EntityColumns

__all__ = ["declared_entities", "entity_options", "state_option"]

Command = TypeVar("Command", bound=Callable[..., Any])


def entity_options(command: Command) -> Command:
    """Add ``--entity``, ``--time`` and ``--amount``."""
    for option in reversed(
        [
            click.option("--entity", "entities", multiple=True, metavar="COLUMN",
                         help="Customer, card, machine, ...: compare a row with its own past. "
                         "May be given more than once; with --time and --amount."),
            click.option("--time", "time_column", metavar="COLUMN",
                         help="With --entity: when a row happened."),
            click.option("--amount", "amount_column", metavar="COLUMN",
                         help="With --entity: the number that is compared."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def declared_entities(options: dict[str, Any]) -> EntityColumns | None:
    """Return what the three options declare; None where none of them was given."""
    from vae_anomaly.data.tables.entity_histories import EntityColumns

    entities, time, amount = (options[k] for k in ("entities", "time_column", "amount_column"))
    if not entities and not time and not amount:
        return None
    if not entities or not time or not amount:
        raise click.UsageError(
            "--entity, --time and --amount belong together: give all three, such as "
            "--entity card --time at --amount euro."
        )
    return EntityColumns(entities, time, amount)


def state_option(command: Command) -> Command:
    """Add ``--state``: where the entities' histories go on from."""
    return click.option(
        "--state",
        metavar="PATH",
        help="Histories to go on from: output folder of `score table`, or a file of its state/."
        "  [default: the model's]",
    )(command)
