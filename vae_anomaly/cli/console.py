"""What people and programs see: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TextIO

import click

from vae_anomaly.cli.streams import leads_to, open_text
from vae_anomaly.names import legible, printable
from vae_anomaly.progress import Progress
from vae_anomaly.words import shortened

LINE_EVERY_S = 5.0
PIPE_WIDTH = 120
_GAP = 3  # between columns
LEAST_WIDTH = 12  # of a column that wraps
MOST_OF_A_CELL = 1_000  # characters
NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?( ?%)?( ?\[.*\])?$|-?$")


@dataclass
class Documents:
    """Where the one document of ``--json`` goes, and whether it went there."""

    stream: TextIO
    printed: int = 0


_documents: ContextVar[Documents | None] = ContextVar("documents", default=None)


@contextmanager
def results_only(wanted: bool) -> Iterator[None]:
    """Keep stdout for the document of `emit` where wanted; all else that is printed goes to stderr.

    Whoever prints, be it a library, its C code or a process that it starts: a program that reads
    stdout gets one document of JSON and nothing beside it.
    """
    if not wanted:
        yield
        return
    with ExitStack() as after:
        out: TextIO = sys.stdout
        if leads_to(out, 1):
            out = after.enter_context(_own_descriptor(out))
        after.enter_context(redirect_stdout(sys.stderr))
        after.callback(_documents.reset, _documents.set(Documents(out)))
        yield


@contextmanager
def _own_descriptor(out: TextIO) -> Iterator[TextIO]:
    """Give a stream to where stdout leads, and let file descriptor 1 lead to stderr meanwhile."""
    out.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open_text(os.dup(kept), out, closes=True) as stream:
            yield stream
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def emit(document: Mapping[str, object], *, as_json: bool) -> bool:
    """Print one JSON document where asked for; tell whether that was done.

    What is no finite number is null: JSON has no word for it.
    """
    if as_json:
        to = _documents.get()
        text = json.dumps(_plain(document), indent=2, allow_nan=False)
        click.echo(text, file=None if to is None else to.stream)
        if to is not None:
            to.printed += 1
    return as_json


def emit_error(error: BaseException, message: str, exit_code: int) -> None:
    """Print what went wrong as the document, where one is waited for and none was printed."""
    to = _documents.get()
    if to is not None and not to.printed:
        facts = {"kind": type(error).__name__, "message": message, "exit_code": exit_code}
        emit({"error": facts}, as_json=True)


def _plain(value: object) -> object:
    """Return a value as JSON has it, with all that it holds."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {legible(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    for convert in ("tolist", "model_dump", "to_dict", "isoformat"):
        if hasattr(value, convert):
            plain = getattr(value, convert)()
            return None if plain == "NaT" else _plain(plain)
    return legible(str(value))


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


def print_words(text: str, *, err: bool = False) -> None:
    """Print a paragraph, broken between words where the screen ends; a pipe gets one line."""
    width = screen_width()
    text = printable(text)
    lines = text if width is None else textwrap.fill(text, width, break_on_hyphens=False)
    click.echo(lines, err=err)


def print_table(
    rows: Sequence[Sequence[str]], header: Sequence[str], title: str = "", *, err: bool = False
) -> None:
    """Print aligned columns; text stays what it is, numbers stand to the right.

    Where the screen is too narrow even with the last column wrapped, each row becomes a block
    with a line for each column, so that nothing is cut off.

    Cells may have several lines.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [[_shown(cell) for cell in row] for row in rows]
    header = [_shown(name) for name in header]
    width, widths = screen_width() or PIPE_WIDTH, _widths(rows, header)
    least = sum(widths[:-1]) + min(widths[-1], LEAST_WIDTH) + (_GAP - 1) * len(widths)
    if least > width and len(widths) > 2:
        _print_blocks(rows, header, title, err=err)
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
    click.echo("\n".join(["", title, *lines[1:]] if title else lines), err=err)


def _shown(cell: str) -> str:
    return printable(shortened(cell, MOST_OF_A_CELL))


def _print_blocks(
    rows: Sequence[Sequence[str]], header: Sequence[str], title: str, *, err: bool
) -> None:
    """Print each row as lines ``column  value``; text wraps under its own beginning."""
    indent = max(map(len, header)) + 4
    width = max(screen_width() or PIPE_WIDTH, indent + LEAST_WIDTH)
    if title:
        click.echo(f"\n{title}", err=err)
    for row in rows:
        click.echo(err=err)
        for name, cell in zip(header, row, strict=True):
            lines = textwrap.wrap(cell.strip(), width - indent, break_on_hyphens=False) or [""]
            click.echo(f"  {name:<{indent - 2}}" + f"\n{'':{indent}}".join(lines), err=err)
    click.echo(err=err)


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
