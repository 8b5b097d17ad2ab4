"""Read tables from CSV, parquet, folders, globs, Arrow, pandas and arrays as a DataFrame.

Files are read wholly (`read_table`) or in pieces (`iter_batches`, `iter_pieces`); `fingerprint` is
what identifies a table's content: a digest of its cells, or of the bytes of its files.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.files import (
    RaggedRow,
    SetAside,
    csv_names,
    doubtful_header,
    existing,
    is_parquet,
    is_path_like,
    list_partitions,
    numbers_without,
    parquet_batches,
    parquet_table,
    parquet_without_rows,
    text_batches,
    typed_table,
    unreadable,
)
from vae_anomaly.errors import DataError
from vae_anomaly.files import sha256_of
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.storage.later import present
from vae_anomaly.words import names_of, reason_of

_CSV_ROWS: Final = 1 << 16
_FAULTS: Final = (pa.ArrowException, OSError, UnicodeDecodeError)


def read_table(
    source: object,
    *,
    columns: Sequence[str] | None = None,
    as_text: Collection[str] = (),
    ragged: SetAside | None = None,
) -> pd.DataFrame:
    """Read a table from wherever it is.

    Parameters
    ----------
    source : path, glob, list of these, DataFrame, Arrow table or array of shape (N, D)
        Files are parquet or CSV (UTF-8; comma, semicolon, tab or bar between cells). A folder
        stands for all tables in it, in the order of their names.
    columns : sequence of str, optional
        Only these columns.
    as_text : collection of str, optional
        Columns that stay text in a CSV, just as they are written: those that name things, such as
        ids, whose digits a number would lose. Names that the table does not have do not matter.
    ragged : callable, optional
        Takes single rows of a CSV that have not as many cells as its header, as in `iter_batches`.

    Returns
    -------
    DataFrame of N rows
        In a CSV a column is whole numbers, numbers or truth values where every cell that is not
        empty is one; else text. "007" is text.

    Raises
    ------
    DataError
        If there is no file, or one is empty or cannot be read, or files have different columns;
        names the file.
    """
    if not is_path_like(source):
        return _select(as_frame(source), columns)
    files = list_partitions(source)
    frames = [_read_file(file, columns, as_text, ragged) for file in files]
    unlike = _numbers_here_text_there(frames)
    if unlike:
        seen: SetAside | None = None if ragged is None else lambda _: None
        frames = [_read_file(file, columns, {*as_text, *unlike}, seen) for file in files]
    for file, frame in zip(files, frames, strict=True):
        require_same_columns(file, frame.columns, files[0], frames[0].columns)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def iter_batches(
    path: str | Path,
    batch_rows: int = 65_536,
    columns: Sequence[str] | None = None,
    *,
    as_text: Collection[str] = (),
    ragged: SetAside | None = None,
) -> Iterator[pd.DataFrame]:
    """Read one table file in pieces of at most ``batch_rows``, so that its size does not matter.

    The rows come in the file's order, numbered on through the whole file. A file without rows gives
    one empty frame, so that its columns can be seen. Column types of a CSV are decided piece by
    piece, but for those in ``as_text``, as in `read_table`; `Schema.cast` makes them one.

    ``ragged`` takes single rows of a CSV that have not as many cells as its header, before the
    piece that they would be in. They keep their numbers, so that of the others no number changes
    when such a row is mended. Without it they are refused, as all other files that cannot be read.

    Raises `DataError` if the file is empty or cannot be read; names the file.
    """
    if batch_rows < 1:
        raise DataError(f"batch_rows must be at least 1. Got {batch_rows}.")
    path = existing(Path(on_disk(path)))
    numbers = _Numbers(ragged)
    with present([str(path)]):
        for table in _arrow_batches(path, batch_rows, columns, as_text, numbers.left_out):
            frame = to_frame(table)
            frame.index = numbers.of_next(len(frame))
            yield frame


class _Numbers:
    """Number the rows of a file piece by piece, past those that are left out."""

    def __init__(self, ragged: SetAside | None) -> None:
        self._ragged, self._next, self._gaps = ragged, 0, list[int]()

    @property
    def left_out(self) -> SetAside | None:
        """Return what takes a row that is left out; None where none may be."""
        return None if self._ragged is None else self._leave_out

    def of_next(self, n: int) -> pd.Index:
        """Return the numbers of the next ``n`` rows."""
        if not self._gaps:
            self._next += n
            return pd.RangeIndex(self._next - n, self._next)
        numbers = pd.Index(numbers_without(self._next, n, np.array(self._gaps, dtype=np.int64)))
        self._next = int(numbers[-1]) + 1 if n else self._next
        self._gaps = [gap for gap in self._gaps if gap >= self._next]
        return numbers

    def _leave_out(self, row: RaggedRow) -> None:
        assert self._ragged is not None  # noqa: S101 - else it is not given out
        self._gaps.append(row.row)
        self._ragged(row)


def iter_pieces(path: str | Path, batch_rows: int = 65_536) -> Iterator[pa.Table]:
    """Read one table file in pieces as stored, to `assemble` some of their rows later.

    Of a CSV all is text: types are decided when it is known which rows are kept. A file without
    rows gives none.
    """
    path = existing(Path(on_disk(path)))
    try:
        yield from (parquet_batches if is_parquet(path) else text_batches)(path, batch_rows)
    except _FAULTS as err:
        raise unreadable(path, err) from None


def assemble(
    files: Sequence[Path], kept: Mapping[int, pa.Table], as_text: Collection[str] = ()
) -> pd.DataFrame:
    """Make one DataFrame of the rows kept of some files, typed as if they were the whole table.

    ``kept`` has, by the number of the file, what `iter_pieces` gave, or that with typed columns
    beside; ``as_text`` is as in `read_table`.
    """
    frames = _typed_frames(files, kept, as_text)
    unlike = _numbers_here_text_there(frames)
    if unlike:
        frames = _typed_frames(files, kept, {*as_text, *unlike})
    if not frames:
        return next(iter_batches(files[0], 1)).iloc[:0]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _typed_frames(
    files: Sequence[Path], kept: Mapping[int, pa.Table], as_text: Collection[str]
) -> list[pd.DataFrame]:
    return [
        to_frame(table if is_parquet(files[place]) else typed_table(table, as_text))
        for place, table in sorted(kept.items())
    ]


def _numbers_here_text_there(frames: Sequence[pd.DataFrame]) -> set[str]:
    """Name the columns that are numbers in one file and text in another.

    They are text in all: of a day that has only 1.234 in its cells the others say what that is.
    """
    is_number = pd.api.types.is_numeric_dtype
    numbers = {str(n) for frame in frames for n, column in frame.items() if is_number(column.dtype)}
    return {
        name
        for frame in frames
        for name in numbers.intersection(frame.columns)
        if not is_number(frame[name].dtype) and cells.written_counts(frame[name])
    }


def count_rows(files: Sequence[Path], at_most: int) -> int:
    """Count the rows of tables, no further than to just above ``at_most``."""
    n_rows = 0
    for path in files:
        for table in _counted(existing(path)):
            n_rows += table
            if n_rows > at_most:
                return n_rows
    return n_rows


def as_frame(X: object) -> pd.DataFrame:
    """Return any table in memory as a DataFrame with text column names, not copied without need.

    X is a DataFrame, an Arrow table or batch, anything with an Arrow interface
    (``__arrow_c_stream__`` or ``to_arrow``, as polars), a mapping of columns, a list of records, or
    an array of shape (N, D), whose columns are named x0, x1, ...

    Raises `DataError` if it has not two dimensions, or two columns have one name.
    """
    if isinstance(X, pd.DataFrame):
        frame = X
    elif isinstance(X, (pa.Table, pa.RecordBatch)) or hasattr(X, "__arrow_c_stream__"):
        frame = to_frame(pa.table(X))
    elif hasattr(X, "to_arrow"):
        frame = to_frame(X.to_arrow())
    elif isinstance(X, dict) or is_records(X):
        frame = _from_columns(X)
    else:
        frame = _from_array(X)
    return _with_text_names(frame)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table; of an index that pandas saved, only a named one stays."""
    unnamed = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    plain = table.drop_columns(unnamed).replace_schema_metadata(None)
    frame = pd.DataFrame(plain.to_pandas())
    for place, column in enumerate(plain.columns):
        if _loses_digits(column):
            exact = column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
            frame.isetitem(place, exact)
    return frame


def require_same_columns(
    file: Path, columns: Iterable[str], first: Path, wanted: Iterable[str]
) -> None:
    """Refuse a file that has not the columns of the first; names both and a column that differs."""
    differing = sorted({str(name) for name in columns} ^ {str(name) for name in wanted})
    if differing:
        doubt = None if is_parquet(first) else doubtful_header(first)
        raise DataError(
            f"{file} and {first} differ in column {differing[0]!r}. "
            "Give files with the same columns, or choose columns that all have."
            + (f" But {doubt}." if doubt else "")
        )


def fingerprint(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what identifies the content of a table.

    "rows" (int), "columns" (list of str) and "sha256" (64 hexadecimal digits) over names and values
    in order. Index and row groups do not count; neither does the width of a number's type.
    """
    digest = hashlib.sha256()
    names = [str(name) for name in frame.columns]
    for place, name in enumerate(names):
        digest.update(name.encode() + b"\0")
        digest.update(_hash_cells(frame.iloc[:, place]))
    return {"rows": len(frame), "columns": names, "sha256": digest.hexdigest()}


def file_fingerprint(files: Sequence[Path], rows: int, columns: Sequence[str]) -> dict[str, Any]:
    """Return what identifies tables too long to be held: the bytes of their files, in order.

    As `fingerprint`, of the ``rows`` that were used, with "over": "files". Of one file "sha256" is
    what ``sha256sum`` says.
    """
    return {
        "rows": rows, "columns": [*columns], "sha256": sha256_of(*files), "over": "files",
    }  # fmt: skip


def _loses_digits(column: pa.ChunkedArray) -> bool:
    """Tell whether whole numbers beside missing cells are too large for a float."""
    if not (pa.types.is_integer(column.type) and column.null_count):
        return False
    bounds = pc.min_max(column).as_py()
    return bool(max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) > 2**53)


def is_records(X: object) -> TypeGuard[Sequence[dict[str, object]]]:
    """Tell a list of rows, each a mapping by column name, from a list of numbers."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(isinstance(r, dict) for r in X)


def _from_columns(X: dict[str, object] | Sequence[dict[str, object]]) -> pd.DataFrame:
    try:
        return pd.DataFrame(X)
    except ValueError as err:
        raise DataError(
            f"{type(X).__name__} is no table: {reason_of(err)}. Give columns of one length, or a "
            "list of rows."
        ) from None


def _from_array(X: object) -> pd.DataFrame:
    """Name the columns of an array x0, x1, ..."""
    if hasattr(X, "toarray"):
        raise DataError(f"A sparse {type(X).__name__} is not read. Give X.toarray().")
    try:
        array = np.asarray(X)
    except (ValueError, TypeError) as err:
        raise DataError(
            f"{type(X).__name__} is no table: {reason_of(err)}. Give a DataFrame."
        ) from None
    if array.ndim != 2:
        raise DataError(
            f"A table has two dimensions (rows, columns). Got {array.ndim}, shape {array.shape}. "
            "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
        )
    return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])


def _with_text_names(frame: pd.DataFrame) -> pd.DataFrame:
    names = [str(name) for name in frame.columns]
    twice: Iterable[str] = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(
            f"The table has more than one column named {sorted(twice)[0]!r}. Rename or drop them."
        )
    if list(frame.columns) == names:
        return frame
    return frame.set_axis(names, axis="columns")


def _read_file(
    path: Path,
    columns: Sequence[str] | None,
    as_text: Collection[str],
    ragged: SetAside | None = None,
) -> pd.DataFrame:
    """Read one file wholly."""
    if is_parquet(path):
        try:
            table = parquet_table(path, columns, as_text)
        except _FAULTS as err:
            raise unreadable(path, err) from None
        frame = to_frame(table)
    else:
        numbers = _Numbers(ragged)
        frame = to_frame(_read_csv(path, columns, as_text, numbers.left_out))
        frame.index = numbers.of_next(len(frame))
    return _select(frame, columns, path)


def _select(
    frame: pd.DataFrame, columns: Sequence[str] | None, path: Path | None = None
) -> pd.DataFrame:
    if columns is None:
        return frame
    lacking = [name for name in columns if name not in frame.columns]
    if lacking:
        raise DataError(
            f"{path or 'The table'} has no column {names_of(map(repr, lacking), 10)}. Columns: "
            f"{names_of(frame.columns, 20)}."
        )
    return frame[list(columns)]


def _arrow_batches(
    path: Path,
    batch_rows: int,
    columns: Sequence[str] | None,
    as_text: Collection[str],
    ragged: SetAside | None,
) -> Iterator[pa.Table]:
    """Read a file as Arrow tables of at most `batch_rows` rows, at least one."""
    none_yet = True
    try:
        for batch in _open_batches(path, batch_rows, columns, as_text, ragged):
            if len(batch):
                none_yet = False
                yield batch
    except _FAULTS as err:
        raise unreadable(path, err) from None
    if none_yet:
        yield _chosen(_empty_like(path), columns)


def _open_batches(
    path: Path,
    batch_rows: int,
    columns: Sequence[str] | None,
    as_text: Collection[str],
    ragged: SetAside | None,
) -> Iterator[pa.Table]:
    if is_parquet(path):
        yield from parquet_batches(path, batch_rows, columns, as_text)
        return
    for table in text_batches(path, batch_rows, ragged=ragged):
        yield typed_table(_chosen(table, columns), as_text)


def _counted(path: Path) -> Iterator[int]:
    """Yield numbers of rows that add up to the file's."""
    try:
        if is_parquet(path):
            yield int(pq.read_metadata(path).num_rows)
        else:
            yield from (len(table) for table in text_batches(path, 65_536))
    except _FAULTS as err:
        raise unreadable(path, err) from None


def _chosen(table: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    return table if columns is None else table.select(list(columns))


def _empty_like(path: Path) -> pa.Table:
    if is_parquet(path):
        return parquet_without_rows(path)
    names = csv_names(path)
    return pa.table({name: pa.array([], pa.string()) for name in names})


def _read_csv(
    path: Path,
    columns: Sequence[str] | None,
    as_text: Collection[str],
    ragged: SetAside | None,
) -> pa.Table:
    """Read a CSV as an Arrow table whose types hold for the whole of it."""
    try:
        chosen = [name for name in csv_names(path) if columns is None or name in columns]
        batches = text_batches(path, _CSV_ROWS, ragged=ragged)
        pieces = [table.select(chosen) for table in batches]
        table = pa.concat_tables([_empty_like(path).select(chosen), *pieces])
        return typed_table(table, as_text)
    except _FAULTS as err:
        raise unreadable(path, err) from None


def _hash_cells(series: pd.Series) -> bytes:
    """Hash each cell: numbers as float64, times in ns, all else as text."""
    if cells.storage_of(series) in {"number", "boolean", "empty"}:
        values = cells.read_numbers(series)[0]
        if pd.api.types.is_float_dtype(series.dtype):  # keep infinite apart from missing
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(values), np.nan, values + 0.0).tobytes()  # one NaN, one zero
    if cells.storage_of(series) == "time":
        return cells.read_times(series)[0].tobytes()
    return bytes(pd.util.hash_array(cells.read_text(series), categorize=True).tobytes())
