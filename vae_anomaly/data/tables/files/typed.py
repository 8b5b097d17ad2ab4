"""Types of the columns of a CSV: what all cells of a column are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_INTEGER: Final = r"^[+-]?(0|[1-9]\d*)$"
_FLOAT: Final = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_TRUTH: Final = r"^([Tt]rue|TRUE|[Ff]alse|FALSE)$"


def typed_table(table: pa.Table, as_text: Collection[str] = ()) -> pa.Table:
    """Turn text columns to whole numbers, numbers or truth values where every cell is one.

    The columns named in ``as_text`` stay as they are written.
    """
    typed = {
        name: column if name in as_text else _typed_column(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pa.table(typed)


def _typed_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Decide the type of one text column from all its cells."""
    if not pa.types.is_string(column.type):
        return column  # it was made beside the text, and has its type
    trimmed = pc.utf8_trim_whitespace(column)
    present = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    if present.null_count == len(present):
        return column
    for pattern, kind in ((_INTEGER, pa.int64()), (_FLOAT, pa.float64()), (_TRUTH, pa.bool_())):
        if pc.all(pc.match_substring_regex(present, pattern)).as_py():
            typed = _cast(present, kind)
            return column if typed is None else typed
    return column


def _cast(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Convert texts; None where 64 bits do not hold them, as whole numbers of 20 digits."""
    try:
        return pc.cast(pc.replace_substring_regex(texts, r"^\+", ""), kind)
    except pa.ArrowInvalid:
        return None
