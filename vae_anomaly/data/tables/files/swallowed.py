"""Tell text of several lines in one cell from rows that a pair of stray quotes made one cell.

Both are well formed. But where a quote is stray, each line by itself is a row: it has as many cells
as the header, and numbers or dates in the columns that hold numbers or dates.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vae_anomaly.arrays import Bools

_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_PLAIN: Final = re.compile(
    r"\s*([+-]?[\d.,]*\d[\d.,]*([eE][+-]?\d+)?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?"
    r"|true|false)\s*",
    re.IGNORECASE,
)
_ROWS_LOOKED_AT: Final = 1000
_MIN_SHARE: Final = 0.9
_CLEAR: Final = 5  # lines that look like rows without any number in them


def swallowing_row(table: pa.Table, delimiter: str) -> tuple[int, str, int] | None:
    """Return row, column and number of lines of the first cell that swallows rows; else None.

    ``table`` holds text alone.
    """
    several = {name: _of_several_lines(table.column(name)) for name in table.column_names}
    several = {name: rows for name, rows in several.items() if rows.any()}
    if not several:
        return None
    plain = _plain_columns(table, ~np.logical_or.reduce([*several.values()]))
    for name, rows in several.items():
        for row in np.flatnonzero(rows).tolist():
            lines = _rows_within(table, row, table.column_names.index(name), delimiter)
            if lines is not None and _look_like_rows(lines, plain):
                return row, name, len(lines) - 1
    return None


def _of_several_lines(column: pa.ChunkedArray) -> Bools:
    if not pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py():
        return np.zeros(len(column), dtype=np.bool_)
    return np.asarray(pc.match_substring_regex(column, "[\r\n]"), dtype=np.bool_)


def _plain_columns(table: pa.Table, others: Bools) -> list[int] | None:
    """Return the places of columns of numbers and dates, by rows of one line; None without any."""
    rows = np.flatnonzero(others)[:_ROWS_LOOKED_AT]
    if not rows.size:
        return None
    looked = table.take(pa.array(rows)).to_pydict()
    return [
        place
        for place, cells in enumerate(looked.values())
        if sum(is_plain(cell) for cell in cells) > _MIN_SHARE * sum(cell != "" for cell in cells)
    ]


def is_plain(cell: str) -> bool:
    """Tell a number, date or truth value from text."""
    return _PLAIN.fullmatch(cell) is not None


def _rows_within(table: pa.Table, row: int, place: int, delimiter: str) -> list[list[str]] | None:
    """Return the rows that a cell's lines would be by themselves; None where one would not fit."""
    cells = [column[row].as_py() for column in table.columns]
    first, *inner, last = (line.split(delimiter) for line in _LINE_END.split(cells[place]))
    rows = [cells[:place] + first, *inner, last + cells[place + 1 :]]
    return rows if all(len(one) == len(cells) for one in rows) else None


def _look_like_rows(rows: Sequence[Sequence[str]], plain: Sequence[int] | None) -> bool:
    """Tell whether all rows have numbers or dates in a column that holds them."""
    places = range(len(rows[0])) if plain is None else plain
    if any(all(is_plain(row[place]) for row in rows) for place in places):
        return True
    return not plain and len(rows) >= _CLEAR and len(rows[0]) > 1 and all(map(all, rows))
