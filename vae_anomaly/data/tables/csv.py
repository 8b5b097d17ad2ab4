"""Read CSV files: delimiter and names from the header, types from all cells of a column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from vae_anomaly.data.tables.files import unreadable
from vae_anomaly.errors import DataError

DELIMITERS: Final = (",", ";", "\t", "|")
_INTEGER: Final = r"^[+-]?(0|[1-9]\d*)$"
_FLOAT: Final = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_TRUTH: Final = r"^([Tt]rue|TRUE|[Ff]alse|FALSE)$"
_BLOCK_BYTES: Final = 1 << 22


def text_batches(path: Path, batch_rows: int) -> Iterator[pa.Table]:
    """Read a CSV as Arrow tables of text."""
    with _open_csv(path) as reader:
        for batch in reader:
            table = pa.table(batch)
            for start in range(0, len(table), batch_rows):
                yield table.slice(start, batch_rows)


def _open_csv(path: Path) -> pa_csv.CSVStreamingReader:
    """Open a CSV with every cell as text; types are ours to decide."""
    names = csv_names(path)
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{path} has more than one column {twice[0]!r}. Rename or drop the copies.")
    return pa_csv.open_csv(
        path,
        # several threads do not know the number of the row that they refuse
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pa_csv.ParseOptions(
            delimiter=_delimiter(path), newlines_in_values=True, ignore_empty_lines=True
        ),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def csv_names(path: Path) -> list[str]:
    """Read the header line alone."""
    header = _first_line(path).encode()
    reader = pa_csv.read_csv(
        pa.BufferReader(header + b"\n"),
        parse_options=pa_csv.ParseOptions(delimiter=_delimiter(path)),
    )
    return [str(name) for name in reader.column_names]


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        for raw in file:
            line = raw.lstrip(b"\xef\xbb\xbf").rstrip(b"\r\n")
            if line.strip():
                try:
                    return line.decode()
                except UnicodeDecodeError as err:
                    raise unreadable(path, err) from None
    raise DataError(f"{path} has nothing but empty lines. Write it again, or leave it out.")


def _delimiter(path: Path) -> str:
    """Take the delimiter that the header holds most of, quotes apart; a comma without any."""
    header = re.sub(r'"[^"]*"', "", _first_line(path))
    return max(DELIMITERS, key=header.count)


def typed_table(table: pa.Table) -> pa.Table:
    """Turn text columns to whole numbers, numbers or truth values where every cell is one."""
    typed = [_typed_column(column) for column in table.columns]
    return pa.table(dict(zip(table.column_names, typed, strict=True)))


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
