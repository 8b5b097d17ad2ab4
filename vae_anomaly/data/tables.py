"""Read tables from CSV, parquet, folders, globs, Arrow, pandas and arrays as a DataFrame."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from vae_anomaly.data import cells
from vae_anomaly.errors import DataError

__all__ = [
    "as_frame",
    "assemble",
    "count_rows",
    "file_fingerprint",
    "fingerprint",
    "iter_batches",
    "iter_pieces",
    "list_partitions",
    "read_table",
]

TABLE_SUFFIXES: Final = (".parquet", ".pq", ".csv", ".tsv", ".txt")
DELIMITERS: Final = (",", ";", "\t", "|")
_INTEGER: Final = r"^[+-]?(0|[1-9]\d{0,17})$"
_FLOAT: Final = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_TRUTH: Final = r"^([Tt]rue|TRUE|[Ff]alse|FALSE)$"
_BLOCK_BYTES: Final = 1 << 22
_BUFFER_BYTES: Final = 1 << 18
_CSV_ROWS: Final = 1 << 16


def read_table(source: Any, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table from wherever it is.

    Parameters
    ----------
    source : path, glob, list of these, DataFrame, Arrow table or array of shape (N, D)
        Files are parquet or CSV (UTF-8; comma, semicolon, tab or bar between cells). A folder
        stands for all tables in it, in the order of their names.
    columns : sequence of str, optional
        Only these columns.

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
    if not _is_path_like(source):
        return _select(as_frame(source), columns)
    files = list_partitions(source)
    frames = [_read_file(file, columns) for file in files]
    _refuse_other_columns(files, frames)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def list_partitions(source: Any) -> list[Path]:
    """List the table files that a path, folder, glob or list of these stands for.

    Parameters
    ----------
    source : path, str or list of these
        In a folder, and the folders within, files ending in .parquet, .pq, .csv, .tsv count; names
        that start with "." or "_" do not.

    Returns
    -------
    list of Path
        Sorted by path within a folder or glob; a list keeps its order.

    Raises
    ------
    DataError
        If a path does not exist, holds no table, or a file is named twice.
    """
    sources = source if isinstance(source, (list, tuple)) else [source]
    files = [file for one in sources for file in _files_of(one)]
    twice = sorted({str(file) for file in files if files.count(file) > 1})
    if twice:
        raise DataError(f"{twice[0]} is given twice. Name every file once.")
    if not files:
        raise DataError("No table was given: the list is empty. Name a file, folder or glob.")
    return files


def iter_batches(
    path: str | Path, batch_rows: int = 65_536, columns: Sequence[str] | None = None
) -> Iterator[pd.DataFrame]:
    """Read one table file in pieces, so that its size does not matter.

    Parameters
    ----------
    path : path of a parquet or CSV file
    batch_rows : int
        Most rows of a piece.
    columns : sequence of str, optional
        Only these columns.

    Yields
    ------
    DataFrame
        The rows in the file's order, numbered on through the whole file. A file without rows gives
        one empty frame, so that its columns can be seen. Column types of a CSV are decided piece
        by piece; `Schema.cast` makes them one.

    Raises
    ------
    DataError
        If the file is empty or cannot be read; names the file.
    """
    if batch_rows < 1:
        raise DataError(f"batch_rows must be at least 1. Got {batch_rows}.")
    path = _existing(Path(path))
    start = 0
    for table in _arrow_batches(path, batch_rows, columns):
        frame = _to_frame(table)
        frame.index = pd.RangeIndex(start, start + len(frame))
        start += len(frame)
        yield frame


def iter_pieces(path: str | Path, batch_rows: int = 65_536) -> Iterator[Any]:
    """Read one table file in pieces as stored, to `assemble` some of their rows later.

    Yields
    ------
    Arrow table
        Of a CSV all text: types are decided when it is known which rows are kept. A file without
        rows gives none.

    Raises
    ------
    DataError
        If the file is empty or cannot be read; names the file.
    """
    path = _existing(Path(path))
    batches = _open_batches(path, batch_rows, None) if is_parquet(path) else None
    try:
        yield from batches or _text_batches(path, batch_rows)
    except (pa.ArrowException, OSError) as err:
        raise _unreadable(path, err) from None


def assemble(files: Sequence[Path], kept: Mapping[int, Any]) -> pd.DataFrame:
    """Make one DataFrame of the rows kept of some files, typed as if they were the whole table.

    Parameters
    ----------
    files : sequence of path
    kept : mapping of int to Arrow table
        By the number of the file; as `iter_pieces` gave them, or with typed columns beside.
    """
    frames = [
        _to_frame(table if is_parquet(files[place]) else _typed(table))
        for place, table in sorted(kept.items())
    ]
    if not frames:
        return next(iter_batches(files[0], 1)).iloc[:0]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def count_rows(files: Sequence[Path], at_most: int) -> int:
    """Count the rows of tables, no further than to just above ``at_most``."""
    n_rows = 0
    for path in files:
        for table in _counted(_existing(path)):
            n_rows += table
            if n_rows > at_most:
                return n_rows
    return n_rows


def as_frame(X: Any) -> pd.DataFrame:
    """Return any table in memory as a DataFrame with text column names.

    Parameters
    ----------
    X : DataFrame, Arrow table or batch, anything with an Arrow interface
        (``__arrow_c_stream__`` or ``to_arrow``, as polars), mapping of
        columns, list of records, or array of shape (N, D)
        Array columns are named x0, x1, ...

    Returns
    -------
    DataFrame of shape (N, D)
        The values are not copied where they need not be.

    Raises
    ------
    DataError
        If X has not two dimensions, or two columns have one name.
    """
    if isinstance(X, pd.DataFrame):
        frame = X
    elif isinstance(X, (pa.Table, pa.RecordBatch)) or hasattr(X, "__arrow_c_stream__"):
        frame = _to_frame(pa.table(X))
    elif hasattr(X, "to_arrow"):
        frame = _to_frame(X.to_arrow())
    elif isinstance(X, dict) or _is_records(X):
        frame = pd.DataFrame(X)
    else:
        frame = _from_array(X)
    return _with_text_names(frame)


def fingerprint(frame: pd.DataFrame) -> dict[str, Any]:
    """Return what identifies the content of a table.

    Parameters
    ----------
    frame : DataFrame of shape (N, D)

    Returns
    -------
    dict
        "rows" (int), "columns" (list of str) and "sha256" (64 hexadecimal digits) over names and
        values in order. Index and row groups do not count; neither does the width of a number's
        type.
    """
    digest = hashlib.sha256()
    names = [str(name) for name in frame.columns]
    for place, name in enumerate(names):
        digest.update(name.encode() + b"\0")
        digest.update(_hash_cells(frame.iloc[:, place]))
    return {"rows": len(frame), "columns": names, "sha256": digest.hexdigest()}


def file_fingerprint(files: Sequence[Path], rows: int, columns: Sequence[str]) -> dict[str, Any]:
    """Return what identifies tables too long to be held: the bytes of their files, in order.

    Parameters
    ----------
    files : sequence of path
    rows : int
        How many of their rows were used.
    columns : sequence of str

    Returns
    -------
    dict
        As `fingerprint`, and "over": "files". Of one file "sha256" is what ``sha256sum`` says.
    """
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return {
        "rows": rows, "columns": [*columns], "sha256": digest.hexdigest(), "over": "files",
    }  # fmt: skip


def _hash_cells(series: pd.Series) -> bytes:
    """Hash each cell: numbers as float64, times in ns, all else as text."""
    if cells.storage_of(series) in {"number", "boolean", "empty"}:
        values = cells.read_numbers(series)[0]
        if pd.api.types.is_float_dtype(series.dtype):  # keep infinite apart from missing
            values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.isnan(values), np.nan, values + 0.0).tobytes()  # one NaN, one zero
    if cells.storage_of(series) == "time":
        return cells.read_times(series)[0].tobytes()
    hashed: np.ndarray[Any, Any] = pd.util.hash_array(cells.read_text(series), categorize=True)
    return hashed.tobytes()


def is_parquet(path: Path) -> bool:
    """Tell a parquet file from text, by its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


def _is_path_like(source: Any) -> bool:
    """Tell paths from data: text, paths, or a list of nothing but these."""
    if isinstance(source, (str, Path)):
        return True
    return (
        isinstance(source, (list, tuple))
        and len(source) > 0
        and all(isinstance(item, (str, Path)) for item in source)
    )


def _files_of(source: Any) -> list[Path]:
    """Expand one path, folder or glob."""
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _is_table_file(file, path))
        if not files:
            raise DataError(
                f"{path} holds no table. Put .parquet or .csv files there, or name another folder."
            )
        return files
    if not path.exists() and glob.has_magic(str(source)):
        files = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207 - absolute patterns
        if not files:
            raise DataError(f"No file matches {source}. Check the pattern and its quotes.")
        return [file for file in files if file.is_file()]
    return [_existing(path)]


def _is_table_file(file: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
    return not hidden and file.is_file() and file.suffix.lower() in TABLE_SUFFIXES[:-1]


def _existing(path: Path) -> Path:
    """Return the path if it is a file with something in it."""
    if not path.is_file():
        raise DataError(f"{path} is not a file. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Write it again, or leave it out.")
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(
            f"{path} does not end in {', '.join(TABLE_SUFFIXES)}. Convert it to parquet or CSV."
        )
    return path


def _read_file(path: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    """Read one file wholly."""
    if is_parquet(path):
        try:
            table = pq.ParquetFile(path).read(columns=list(columns) if columns else None)
        except (pa.ArrowException, OSError) as err:
            raise _unreadable(path, err) from None
        frame = _to_frame(table)
    else:
        frame = _to_frame(_read_csv(path, columns))
    return _select(frame, columns, path)


def _select(
    frame: pd.DataFrame, columns: Sequence[str] | None, path: Path | None = None
) -> pd.DataFrame:
    if columns is None:
        return frame
    lacking = [name for name in columns if name not in frame.columns]
    if lacking:
        raise DataError(
            f"{path or 'The table'} has no column {', '.join(map(repr, lacking))}. "
            f"Columns: {', '.join(map(str, frame.columns[:20]))}."
        )
    return frame[list(columns)]


def _arrow_batches(
    path: Path, batch_rows: int, columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """Read a file as Arrow tables of at most `batch_rows` rows, at least one."""
    none_yet = True
    try:
        for batch in _open_batches(path, batch_rows, columns):
            if len(batch):
                none_yet = False
                yield batch
    except (pa.ArrowException, OSError) as err:
        raise _unreadable(path, err) from None
    if none_yet:
        yield _chosen(_empty_like(path), columns)


def _open_batches(path: Path, batch_rows: int, columns: Sequence[str] | None) -> Iterator[Any]:
    if is_parquet(path):
        # a buffer, else whole column chunks of a row group are read at once
        with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
            names = None if columns is None else list(columns)
            for groups in _runs_of_groups(file.metadata, batch_rows):
                for batch in file.iter_batches(batch_rows, row_groups=groups, columns=names):
                    yield pa.table(batch)
        return
    for table in _text_batches(path, batch_rows):
        yield _typed(_chosen(table, columns))


def _counted(path: Path) -> Iterator[int]:
    """Yield numbers of rows that add up to the file's."""
    try:
        if is_parquet(path):
            yield int(pq.read_metadata(path).num_rows)
        else:
            yield from (len(table) for table in _text_batches(path, 65_536))
    except (pa.ArrowException, OSError) as err:
        raise _unreadable(path, err) from None


def _runs_of_groups(metadata: Any, n_rows: int) -> Iterator[list[int]]:
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


def _chosen(table: Any, columns: Sequence[str] | None) -> Any:
    return table if columns is None else table.select(list(columns))


def _text_batches(path: Path, batch_rows: int) -> Iterator[Any]:
    """Read a CSV as Arrow tables of text."""
    with _open_csv(path) as reader:
        for batch in reader:
            table = pa.table(batch)
            for start in range(0, len(table), batch_rows):
                yield table.slice(start, batch_rows)


def _empty_like(path: Path) -> Any:
    if is_parquet(path):
        return pq.read_schema(path).empty_table()
    names = _csv_names(path)
    return pa.table({name: pa.array([], pa.string()) for name in names})


def _read_csv(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Read a CSV as an Arrow table whose types hold for the whole of it."""
    try:
        kept = [name for name in _csv_names(path) if columns is None or name in columns]
        pieces = [table.select(kept) for table in _text_batches(path, _CSV_ROWS)]
        return _typed(pa.concat_tables([_empty_like(path).select(kept), *pieces]))
    except (pa.ArrowException, OSError) as err:
        raise _unreadable(path, err) from None


def _open_csv(path: Path) -> Any:
    """Open a CSV with every cell as text; types are ours to decide."""
    names = _csv_names(path)
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


def _csv_names(path: Path) -> list[str]:
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
                    raise _unreadable(path, err) from None
    raise DataError(f"{path} has nothing but empty lines. Write it again, or leave it out.")


def _delimiter(path: Path) -> str:
    """Take the delimiter that the header holds most of; a comma where it holds none."""
    header = _first_line(path)
    return max(DELIMITERS, key=header.count)


def _typed(table: Any) -> Any:
    """Turn text columns to whole numbers, numbers or truth values where every cell is one."""
    typed = [_typed_column(column) for column in table.columns]
    return pa.table(dict(zip(table.column_names, typed, strict=True)))


def _typed_column(column: Any) -> Any:
    """Decide the type of one text column from all its cells."""
    if not pa.types.is_string(column.type):
        return column  # it was made beside the text, and has its type
    trimmed = pc.utf8_trim_whitespace(column)
    present = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    if present.null_count == len(present):
        return column
    for pattern, kind in ((_INTEGER, pa.int64()), (_FLOAT, pa.float64()), (_TRUTH, pa.bool_())):
        if pc.all(pc.match_substring_regex(present, pattern)).as_py():
            return pc.cast(pc.replace_substring_regex(present, r"^\+", ""), kind)
    return column


def _unreadable(path: Path, err: Exception) -> DataError:
    """Say in one line why a file cannot be read, with the line where text is no UTF-8."""
    if not is_parquet(path):
        line = _line_of_bad_text(path)
        if line is not None:
            return DataError(f"{path}, line {line}: the text is not UTF-8. Save the file as UTF-8.")
    reason = " ".join(str(err).split())[:200]
    return DataError(f"{path} cannot be read: {reason}. Write it again, or leave it out.")


def _line_of_bad_text(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return None


def _to_frame(table: Any) -> pd.DataFrame:
    """Convert an Arrow table; of an index that pandas saved, only a named one stays."""
    unnamed = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
    plain = table.drop_columns(unnamed).replace_schema_metadata(None)
    frame = pd.DataFrame(plain.to_pandas())
    for place, column in enumerate(plain.columns):
        if _loses_digits(column):
            exact = column.to_pandas(types_mapper=lambda _: pd.Int64Dtype())
            frame.isetitem(place, exact)
    return frame


def _loses_digits(column: Any) -> bool:
    """Tell whether whole numbers beside missing cells are too large for a float."""
    if not (pa.types.is_integer(column.type) and column.null_count):
        return False
    bounds = pc.min_max(column).as_py()
    return bool(max(abs(bounds["min"] or 0), abs(bounds["max"] or 0)) > 2**53)


def _refuse_other_columns(files: Sequence[Path], frames: Sequence[pd.DataFrame]) -> None:
    """Raise if a file has not the columns of the first."""
    first = set(frames[0].columns)
    for file, frame in zip(files, frames, strict=True):
        differing = first ^ set(frame.columns)
        if differing:
            raise DataError(
                f"{file} and {files[0]} differ in column {sorted(map(str, differing))[0]!r}. "
                "Give files with the same columns, or choose columns that all have."
            )


def _is_records(X: Any) -> bool:
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(isinstance(r, dict) for r in X)


def _from_array(X: Any) -> pd.DataFrame:
    """Name the columns of an array x0, x1, ..."""
    if hasattr(X, "toarray"):
        raise DataError(f"A sparse {type(X).__name__} is not read. Give X.toarray().")
    try:
        array = np.asarray(X)
    except (ValueError, TypeError) as err:
        raise DataError(f"{type(X).__name__} is no table: {err}. Give a DataFrame.") from None
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
