"""Tell a CSV without a header line, whose first row was taken for the names of its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from vae_anomaly.data.tables.files.suffixes import is_parquet
from vae_anomaly.data.tables.files.swallowed import is_plain
from vae_anomaly.data.tables.files.text import text_batches

_ROWS_LOOKED_AT: Final = 1000
_BLOCK_BYTES: Final = 1 << 16
_SHOWN: Final = 3


def doubtful_header(file: Path) -> str | None:
    """Say, with the remedy, that the first line of a CSV looks like a row; None if it does not.

    It does where a name is a number or date, as the cells below it are, or where half of the names
    are also cells of their columns. Numbers that go up by one are names, as of years.
    """
    names = [] if is_parquet(file) else _names_like_cells(file)
    if not names:
        return None
    return (
        f"the first line of {file} looks like a row ({', '.join(map(repr, names[:_SHOWN]))}), and "
        "is taken for the names of the columns: if it is one, write the names in a line above it"
    )


def _names_like_cells(file: Path) -> list[str]:
    """Return the names that look like the cells below them."""
    table = next(text_batches(file, _ROWS_LOOKED_AT, block_bytes=_BLOCK_BYTES), None)
    if table is None:
        return []
    columns = {name: _cells(table.column(name)) for name in table.column_names}
    plain = [n for n, cells in columns.items() if is_plain(n) and all(map(is_plain, cells))]
    again = [n for n, cells in columns.items() if n in cells]
    if plain and not _count_up(plain):
        return plain
    return again if 2 * len(again) >= len(columns) else []


def _cells(column: pa.ChunkedArray) -> set[str]:
    return {cell for cell in column.unique().to_pylist() if cell}


def _count_up(names: list[str]) -> bool:
    """Tell whether names are several whole numbers one after the other: of years, of pixels."""
    if len(names) < 2 or not all(name.isdecimal() for name in names):
        return False
    numbers = [int(name) for name in names]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
