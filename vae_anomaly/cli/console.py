"""What people and programs see: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

from vae_anomaly.progress import Progress

LINE_EVERY_S = 5.0
PIPE_WIDTH = 120
_GAP = 3  # between columns
LEAST_WIDTH = 12  # of a column that wraps
NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?( ?%)?( ?\[.*\])?$|-?$")


def emit(document: Mapping[str, object], *, as_json: bool) -> bool:
    """Print one JSON document where asked for; tell whether that was done."""
    if as_json:
        click.echo(json.dumps(document, indent=2, default=_plain, allow_nan=False))
    return as_json


def _plain(value: object) -> object:
    """Turn NumPy numbers, paths and model objects into JSON values."""
    for convert in ("item", "model_dump", "to_dict", "isoformat"):
        if hasattr(value, convert):
            plain: object = getattr(value, convert)()
            return plain
    return str(value)


def screen_width() -> int | None:
    """Return the columns of the terminal, or of the variable COLUMNS; None in a pipe without it."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return shutil.get_terminal_size().columns
    return None


def fits_the_screen(rows: Sequence[Sequence[str]], header: Sequence[str]) -> bool:
    """Tell whether `print_table` can write each row on one line."""
    widths = _widths(rows, header)
    return sum(widths) + _GAP * len(widths) <= (screen_width() or PIPE_WIDTH)


def _widths(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[int]:
    columns = zip(header, *rows, strict=True)
    return [max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]


def print_words(text: str) -> None:
    """Print a paragraph, broken between words where the screen ends; a pipe gets one line."""
    width = screen_width()
    click.echo(text if width is None else textwrap.fill(text, width, break_on_hyphens=False))


def print_table(rows: Sequence[Sequence[str]], header: Sequence[str], title: str = "") -> None:
    """Print aligned columns; text stays what it is, numbers stand to the right.

    Where the screen is too narrow even with the last column wrapped, each row becomes a block
    with a line for each column, so that nothing is cut off.

    Cells may have several lines.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width, widths = screen_width() or PIPE_WIDTH, _widths(rows, header)
    least = sum(widths[:-1]) + min(widths[-1], LEAST_WIDTH) + (_GAP - 1) * len(widths)
    if least > width and len(widths) > 2:
        _print_blocks(rows, header, title)
        return
    tight = not fits_the_screen(rows, header)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=tight)
    for place, name in enumerate(header):
        numeric = all(NUMBER.match(row[place].partition("\n")[0]) for row in rows)
        table.add_column(
            name,
            justify="right" if numeric and place else "left",
            no_wrap=place < len(header) - 1,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(file=sys.stdout, width=width, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    lines = [line.rstrip() for line in drawn.get().splitlines()]
    click.echo("\n".join(["", title, *lines[1:]] if title else lines))


def _print_blocks(rows: Sequence[Sequence[str]], header: Sequence[str], title: str) -> None:
    """Print each row as lines ``column  value``; text wraps under its own beginning."""
    indent = max(map(len, header)) + 4
    width = max(screen_width() or PIPE_WIDTH, indent + LEAST_WIDTH)
    if title:
        click.echo(f"\n{title}")
    for row in rows:
        click.echo()
        for name, cell in zip(header, row, strict=True):
            lines = textwrap.wrap(cell.strip(), width - indent, break_on_hyphens=False) or [""]
            click.echo(f"  {name:<{indent - 2}}" + f"\n{'':{indent}}".join(lines))
    click.echo()


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Give a progress callback: bars on a terminal, a line now and then elsewhere (stderr)."""
    if sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        yield _Lines()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = TextColumn("{task.description:<22}"), BarColumn(), TimeElapsedColumn()
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield report


class _Lines:
    """Write a line when a stage begins or ends, and every few seconds in between."""

    def __init__(self) -> None:
        self._stage, self._last = "", 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        fresh = stage != self._stage
        if not fresh and done != total and now - self._last < LINE_EVERY_S:
            return
        self._stage, self._last = stage, now
        click.echo(f"{stage}: {done} of {total}" if total else f"{stage}: {done}", err=True)
