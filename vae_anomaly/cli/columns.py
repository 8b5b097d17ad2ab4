"""A table of words: left-aligned, and printed as it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

__all__ = ["print_columns"]

PIPE_WIDTH = 120


def print_columns(rows: Sequence[Sequence[str]], header: Sequence[str], title: str = "") -> None:
    """Print columns of text; a value such as ``[red]`` stays what it is.

    Parameters
    ----------
    rows : sequence of sequence of str
    header : sequence of str
        One name per column; the last column may wrap.
    title : str
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(name, no_wrap=name != header[-1], overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    if title:
        click.echo(f"\n{title}", nl=False)
    Console(file=sys.stdout, width=width, highlight=False).print(table)
