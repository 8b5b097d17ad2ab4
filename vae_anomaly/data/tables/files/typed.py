"""Types of the columns of a CSV: what all cells of a column are."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_INTEGER: Final = r"^[+-]?(0|[1-9]\d*)$"
_FLOAT: Final = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_TRUTH: Final = r"^([Tt]rue|TRUE|[Ff]alse|FALSE)$"
_POINTS_IN_THOUSANDS: Final = r"^[+-]?(0|[1-9]\d{0,2}(\.\d{3})?)$"
_DECIMAL_COMMA: Final = r"^[+-]?\d[\d.]*,\d{1,2}\D*$"
_GLANCE: Final = 100


def typed_table(table: pa.Table, as_text: Collection[str] = ()) -> pa.Table:
    """Turn text columns to whole numbers, numbers or truth values where every cell is one.

    The columns named in ``as_text`` stay as they are written. So does 1.234 beside 987, or beside a
    column of decimal commas: the point may part thousands, which is asked of the whole column.
    """
    has_commas = any(_are_all(_present(column), _DECIMAL_COMMA) for column in table.columns)
    typed = {
        name: column if name in as_text else _typed_column(column, has_commas=has_commas)
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return pa.table(typed)


def _typed_column(column: pa.ChunkedArray, *, has_commas: bool) -> pa.ChunkedArray:
    """Decide the type of one text column from all its cells."""
    present = _present(column)
    for pattern, kind in ((_INTEGER, pa.int64()), (_FLOAT, pa.float64()), (_TRUTH, pa.bool_())):
        if _are_all(present, pattern):
            if pattern == _FLOAT and _may_part_thousands(present, has_commas=has_commas):
                return column
            typed = _cast(present, kind)
            return column if typed is None else typed
    return column


def _present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the cells of a text column, null where they are blank; no cell of any other column."""
    if not pa.types.is_string(column.type):
        return column.slice(0, 0)  # it was made beside the text, and has its type
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _are_all(present: pa.ChunkedArray, pattern: str) -> bool:
    """Tell whether there are cells, and all match a pattern."""
    if present.null_count == len(present):
        return False
    return all(
        pc.all(pc.match_substring_regex(some, pattern)).as_py() is not False
        for some in (present.slice(0, _GLANCE), present)
    )


def _may_part_thousands(present: pa.ChunkedArray, *, has_commas: bool) -> bool:
    """Tell whether a point may part thousands: no cell proves that it is a decimal sign."""
    if not _are_all(present, _POINTS_IN_THOUSANDS):
        return False
    return has_commas or not pc.all(pc.match_substring(present, ".")).as_py()


def _cast(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Convert texts; None where 64 bits do not hold them, as whole numbers of 20 digits."""
    try:
        return pc.cast(pc.replace_substring_regex(texts, r"^\+", ""), kind)
    except pa.ArrowInvalid:
        return None
