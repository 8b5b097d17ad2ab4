"""Read a parquet file as Arrow tables, with the columns that its folders tell."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.data.tables.files.hive import partition_values, with_partitions
from vae_anomaly.errors import DataError

_BUFFER_BYTES: Final = 1 << 18


def parquet_table(
    path: Path, columns: Sequence[str] | None = None, as_text: Collection[str] = ()
) -> pa.Table:
    """Read a file wholly, or some of its columns; those that it does not have are left out."""
    with pq.ParquetFile(_as_arrow_opens(path)) as file:
        table = file.read(columns=_stored(path, file, columns))
        return _told(table, path, columns, as_text)


def parquet_batches(
    path: Path,
    batch_rows: int,
    columns: Sequence[str] | None = None,
    as_text: Collection[str] = (),
) -> Iterator[pa.Table]:
    """Read a file in pieces of at most ``batch_rows`` rows; columns are as in `parquet_table`."""
    # a buffer, else whole column chunks of a row group are read at once
    with pq.ParquetFile(_as_arrow_opens(path), buffer_size=_BUFFER_BYTES) as file:
        names = _stored(path, file, columns)
        for groups in _runs_of_groups(file.metadata, batch_rows):
            for batch in file.iter_batches(batch_rows, row_groups=groups, columns=names):
                yield _told(pa.table(batch), path, columns, as_text)


def parquet_without_rows(path: Path) -> pa.Table:
    """Return a table of the file's columns and no row."""
    return _told(pq.read_schema(_as_arrow_opens(path)).empty_table(), path, None, ())


def _as_arrow_opens(path: Path) -> Path | pa.OSFile:
    """Return what Arrow can open: of a name that is no UTF-8, which it refuses, the open file."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return pa.OSFile(os.fsencode(path))
    return path


def _stored(path: Path, file: pq.ParquetFile, columns: Sequence[str] | None) -> list[str] | None:
    """Return which columns to read of the file itself; None for all."""
    names = file.schema_arrow.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} has more than one column {twice[0]!r}. Rename or drop the copies.")
    if columns is None:
        return None
    checked = {*columns, *partition_values(path)}
    return [name for name in names if name in checked]


def _told(
    table: pa.Table, path: Path, columns: Sequence[str] | None, as_text: Collection[str]
) -> pa.Table:
    """Add what the folders tell; keep the columns that were asked for.

    Arrow does not look at text as it reads it; what is no UTF-8 would fail wherever it is used.
    """
    table.validate(full=True)
    whole = with_partitions(table, path, typed=True, as_text=as_text)
    if columns is None:
        return whole
    return whole.select([name for name in columns if name in whole.column_names])


def _runs_of_groups(metadata: pq.FileMetaData, n_rows: int) -> Iterator[list[int]]:
    """Cut a parquet file's row groups into runs that are read one by one.

    One `iter_batches` over all of them keeps something of each: 75 MB for a million rows of 12
    columns with Arrow 25. A run has at least `n_rows` rows, so that small groups make no small
    pieces.
    """
    run: list[int] = []
    held = 0
    for group in range(metadata.num_row_groups):
        run.append(group)
        held += metadata.row_group(group).num_rows
        if held >= n_rows:
            yield run
            run, held = [], 0
    if run:
        yield run
