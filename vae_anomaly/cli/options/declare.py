"""Options as values: add several at once, bundle them into one argument, keep a former name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Protocol, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])
Body = Callable[..., int | None]  # an exit code other than 0, where there is no error


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
        def call(**given: object) -> int | None:
            value = make(**{name: given.pop(name) for name in names})
            return command(**{into: value}, **given)

        return add_options(options)(call)

    return add
