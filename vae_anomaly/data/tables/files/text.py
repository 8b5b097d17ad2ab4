"""Read a CSV as Arrow tables of text, block by block, so that its size does not matter.

No row is lost in silence: a line with too few or too many cells, unless somebody takes it, a quote
that swallows lines, and bytes that are no text are refused with the number of their line.
"""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from vae_anomaly.data.tables.files.dialect import (
    UNCLOSED,
    ZERO_BYTES,
    Dialect,
    dialect_of,
    utf8_chunks,
)
from vae_anomaly.data.tables.files.faults import at_line, not_utf8, unreadable
from vae_anomaly.data.tables.files.hive import partition_values, with_partitions
from vae_anomaly.data.tables.files.packed import open_text
from vae_anomaly.data.tables.files.ragged import (
    SetAside,
    first_ragged,
    line_of_row,
    ragged_rows,
)
from vae_anomaly.data.tables.files.records import Block, UnclosedCellError, n_lines, whole_records
from vae_anomaly.data.tables.files.swallowed import swallowing_row
from vae_anomaly.errors import DataError
from vae_anomaly.words import reason_of

logger = logging.getLogger(__name__)
_BLOCK_BYTES: Final = 1 << 22
_BLANK: Final = "\0blank "  # names columns without a name; no header can hold it


def text_batches(
    path: Path,
    batch_rows: int,
    *,
    block_bytes: int = _BLOCK_BYTES,
    ragged: SetAside | None = None,
) -> Iterator[pa.Table]:
    """Read a CSV as Arrow tables of text, of at most ``batch_rows`` rows.

    ``ragged`` takes single rows that have not as many cells as the header, before those that come
    after them; without it they are refused.

    Raises `DataError` if it cannot be read; names the file and, where there is one, the line.
    """
    dialect, n_rows = dialect_of(path), 0
    for block in _blocks(path, dialect, block_bytes):
        table, n_skipped = _parsed(path, dialect, block, skips=ragged is not None)
        if ragged is not None and n_skipped:
            for row in ragged_rows(
                path, dialect, block, before=n_rows, n_whole=len(table), n_skipped=n_skipped
            ):
                ragged(row)
        n_rows += len(table) + n_skipped
        if b'"' in block.data:
            _refuse_swallowed(path, dialect, block, table)
        _refuse_second_header(path, dialect, block, table)
        table = _named_columns(path, dialect, block, table)
        table = with_partitions(table, path, typed=False)
        for start in range(0, len(table), batch_rows):
            yield table.slice(start, batch_rows)


def csv_names(path: Path) -> list[str]:
    """Return the names of the columns of a CSV, and of those that its folders tell.

    What has no name in the header is not among them.
    """
    named = [name for name in dialect_of(path).names if name.strip()]
    return list(dict.fromkeys([*named, *partition_values(path)]))


def _blocks(path: Path, dialect: Dialect, block_bytes: int) -> Iterator[Block]:
    line = dialect.line
    with open_text(path) as file:
        chunks = utf8_chunks(file, dialect, block_bytes)
        try:
            for block in whole_records(chunks, dialect.delimiter.encode(), line):
                if b"\0" in block.data:
                    place = block.data.index(0)
                    raise at_line(path, block.line + n_lines(block.data[:place]), ZERO_BYTES)
                yield block
                line = block.line
        except UnclosedCellError as err:
            raise at_line(path, err.line, UNCLOSED) from None
        except UnicodeError as err:
            told = (
                f"the text after it is not {dialect.encoding}: {reason_of(err)}. Save the file "
                "as UTF-8."
            )
            raise at_line(path, line, told) from None


def _parsed(path: Path, dialect: Dialect, block: Block, *, skips: bool) -> tuple[pa.Table, int]:
    """Parse one block; count the rows of another width, where they are to be skipped.

    The memory is Arrow's own: its threads may outlive the interpreter's.
    """
    skipped = Counter[str]()

    def skip(_: pa_csv.InvalidRow) -> str:
        skipped["rows"] += 1
        return "skip"

    names = _unique_names(dialect)
    held = pa.allocate_buffer(len(block.data))
    np.frombuffer(held, dtype=np.uint8)[:] = np.frombuffer(block.data, dtype=np.uint8)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(held),
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=names, block_size=len(block.data) + 1
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=dialect.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=True,
                invalid_row_handler=skip if skips else None,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as err:
        raise _fault(path, dialect, block, err) from None
    return table, skipped["rows"]


def _unique_names(dialect: Dialect) -> list[str]:
    return [
        name if name.strip() else f"{_BLANK}{place + 1}" for place, name in enumerate(dialect.names)
    ]


def _fault(path: Path, dialect: Dialect, block: Block, err: Exception) -> DataError:
    """Say which line of a block cannot be read, and why."""
    try:
        block.data.decode()
    except UnicodeDecodeError as bad:
        return not_utf8(path, block.line + n_lines(block.data[: bad.start]))
    try:
        found = first_ragged(path, dialect, block)
    except csv.Error:  # a cell of more than 2^17 characters
        return at_line(
            path, block.line, f"a row there or below it cannot be read: {reason_of(err)}."
        )
    return found or unreadable(path, err)


def _refuse_swallowed(path: Path, dialect: Dialect, block: Block, table: pa.Table) -> None:
    """Refuse stray quotes that make one cell of several rows."""
    found = swallowing_row(table, dialect.delimiter)
    if found is not None:
        row, name, n_swallowed = found
        raise at_line(
            path,
            line_of_row(block, dialect, row),
            f"a quote opens a cell of {name!r} that goes on over {n_swallowed} more lines, each of "
            "which looks like a row. Remove the stray quote, or double every quote inside a quoted "
            'cell ("").',
        )


def _refuse_second_header(path: Path, dialect: Dialect, block: Block, table: pa.Table) -> None:
    """Refuse files joined with their headers: names would be cells, and numbers text."""
    if table.num_columns < 2:
        return
    is_header = pc.equal(table.column(0), dialect.names[0])
    for place in range(1, table.num_columns):
        if not pc.any(is_header).as_py():
            return
        is_header = pc.and_(is_header, pc.equal(table.column(place), dialect.names[place]))
    if pc.any(is_header).as_py():
        line = line_of_row(block, dialect, pc.index(is_header, True).as_py())
        raise at_line(
            path,
            line,
            "the header stands here again, as where files are joined. Remove the line; if it is a "
            "row, the file has no header: write the names of the columns above its rows.",
        )


def _named_columns(path: Path, dialect: Dialect, block: Block, table: pa.Table) -> pa.Table:
    """Leave out columns without a name that hold nothing, or the index that pandas wrote."""
    for place, name in enumerate(dialect.names):
        if name.strip():
            continue
        column = pc.utf8_trim_whitespace(table.column(f"{_BLANK}{place + 1}"))
        is_index = place == 0 and pc.all(pc.match_substring_regex(column, r"^\d+$")).as_py()
        if is_index and len(column):
            _say_once(path)
        elif pc.any(pc.not_equal(column, "")).as_py():
            row = pc.index(pc.not_equal(column, ""), True).as_py()
            raise at_line(
                path,
                line_of_row(block, dialect, row),
                f"column {place + 1} has no name in the header, and holds {column[row].as_py()!r} "
                "here. Name it in the header, or drop it.",
            )
        table = table.drop_columns([f"{_BLANK}{place + 1}"])
    return table


@lru_cache(maxsize=256)
def _say_once(path: Path) -> None:
    logger.warning(
        "%s: the first column has no name and numbers the rows, as the index that pandas writes; "
        "it is left out (to_csv(index=False) does not write it)",
        path,
    )
