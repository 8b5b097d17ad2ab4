"""Rows of a CSV that have not as many cells as its header: one by one, with their lines.

Who scores a table sets single ones aside; whoever learns from one refuses it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from vae_anomaly.arrays import Ints
from vae_anomaly.data.tables.files.dialect import Dialect, rows_of
from vae_anomaly.data.tables.files.faults import at_line, not_utf8
from vae_anomaly.data.tables.files.records import Block, n_lines
from vae_anomaly.errors import DataError
from vae_anomaly.words import reason_of

_SHOWN: Final = 60
_DOUBTFUL: Final = (
    "there or below it quotes stand within cells that other rows have more or fewer of, so rows "
    'cannot be told apart. Double every quote inside a quoted cell ("").'
)


@dataclass(frozen=True)
class RaggedRow:
    """A row with too few or too many cells.

    Parameters
    ----------
    row : int
        Its number among the rows of the file, from 0; the others are counted as if it were whole.
    line : int
        Its line in the file, from 1.
    reason : str
        How many cells it has, and what to do.
    """

    row: int
    line: int
    reason: str


SetAside = Callable[[RaggedRow], None]
"""Takes each row that is left out."""


def leave_out(_: RaggedRow) -> None:
    """Leave a ragged row out where another pass over its file has set it aside."""


def first_ragged(path: Path, dialect: Dialect, block: Block) -> DataError | None:
    """Return the error for the first row of another width, if there is one; csv.Error as csv."""
    for _, start, _, cells in _numbered(block.data.decode(), block.line, dialect.delimiter):
        if len(cells) != len(dialect.names):
            return at_line(path, start, _other_width(cells, dialect))
    return None


def ragged_rows(
    path: Path, dialect: Dialect, block: Block, *, before: int, n_whole: int, n_skipped: int
) -> list[RaggedRow]:
    """Return the rows of a block that have another width than the header, in order.

    ``before`` is the number of rows before the block, of which ``n_whole`` rows have the width of
    the header and ``n_skipped`` have not. Refused is a block that is ragged for the most part, so
    that the header is in doubt, and one where a ragged row goes on over several lines, which a
    stray quote may have swallowed.
    """
    try:
        text = block.data.decode()
    except UnicodeDecodeError as bad:
        raise not_utf8(path, block.line + n_lines(block.data[: bad.start])) from None
    found, width = [], len(dialect.names)
    try:
        for place, start, end, cells in _numbered(text, block.line, dialect.delimiter):
            if len(cells) != width:
                reason = _other_width(cells, dialect)
                if end > start + 1:
                    raise at_line(path, start, f"a row of {end - start} lines has {reason}")
                found.append(RaggedRow(before + place, start, reason))
    except csv.Error as err:  # a cell of more than 2^17 characters
        raise at_line(
            path, block.line, f"a row there or below it cannot be read: {reason_of(err)}."
        ) from None
    if len(found) != n_skipped:
        raise at_line(path, block.line, _DOUBTFUL)
    if len(found) > n_whole:
        raise at_line(path, found[0].line, found[0].reason)
    return found


def line_of_row(block: Block, dialect: Dialect, row: int) -> int:
    """Return the line of a row of a block, counted among those of the header's width."""
    try:
        for _, start, _, cells in _numbered(block.data.decode(), block.line, dialect.delimiter):
            row -= len(cells) == len(dialect.names)
            if row < 0:
                return start
    except csv.Error:  # a cell of more than 2^17 characters
        pass
    return block.line


def numbers_without(start: int, n: int, left_out: Ints) -> Ints:
    """Return the next ``n`` numbers from ``start`` that were not left out.

    Examples
    --------
    >>> numbers_without(3, 4, np.array([1, 4, 5]))
    array([3, 6, 7, 8])
    """
    return np.setdiff1d(np.arange(start, start + n + len(left_out)), left_out)[:n]


def _numbered(text: str, line: int, delimiter: str) -> Iterator[tuple[int, int, int, list[str]]]:
    """Yield the rows of a text: number, line at which each begins and that after it, cells."""
    reader = rows_of(text, delimiter)
    start, place = line, 0
    for cells in reader:
        end = line + reader.line_num
        if cells:
            yield place, start, end, cells
            place += 1
        start = end


def _other_width(cells: list[str], dialect: Dialect) -> str:
    width, delimiter = len(dialect.names), dialect.delimiter
    several = f"{len(cells)} cell{'s' * (len(cells) != 1)}, where the header has {width}"
    if len(cells) == width + 1 and not cells[-1].strip():
        return f"{several}: the lines end with {delimiter!r}. End the header with it as well."
    shown = f"{several}: {delimiter.join(cells)[:_SHOWN]!r}."
    quoted = f"a cell that holds {delimiter!r} must stand in double quotes."
    if width == 1:
        return f"{shown} Remove what stands above the header; {quoted}"
    if len(cells) == width + 1:
        return f"{shown} If every line has one more, give the header a name for it; {quoted}"
    return f"{shown} Correct the line; {quoted}"
