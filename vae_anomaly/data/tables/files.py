"""Table files: which ones a path, folder or glob stands for, what is wrong with one, CSV as text.

A CSV's delimiter and names come from its header, a column's type from all of its cells.
"""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from vae_anomaly.errors import DataError

TABLE_SUFFIXES: Final = (".parquet", ".pq", ".csv", ".tsv", ".txt")
DELIMITERS: Final = (",", ";", "\t", "|")
_INTEGER: Final = r"^[+-]?(0|[1-9]\d*)$"
_FLOAT: Final = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_TRUTH: Final = r"^([Tt]rue|TRUE|[Ff]alse|FALSE)$"
_BLOCK_BYTES: Final = 1 << 22


def list_partitions(source: Any) -> list[Path]:
    """List the table files that a path, folder, glob or list of these stands for.

    In a folder, and the folders within, files ending in .parquet, .pq, .csv, .tsv count; names that
    start with "." or "_" do not. They are sorted by path; a list keeps its order.

    Raises `DataError` if a path does not exist, holds no table, or a file is named twice.
    """
    sources = source if isinstance(source, (list, tuple)) else [source]
    files = [file for one in sources for file in _files_of(one)]
    twice = sorted(str(file) for file, times in Counter(files).items() if times > 1)
    if twice:
        raise DataError(f"{twice[0]} is given twice. Name every file once.")
    if not files:
        raise DataError("No table was given: the list is empty. Name a file, folder or glob.")
    return files


def is_parquet(path: Path) -> bool:
    """Tell a parquet file from text, by its name."""
    return path.suffix.lower() in {".parquet", ".pq"}


def is_path_like(source: object) -> bool:
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
    return [existing(path)]


def _is_table_file(file: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
    return not hidden and file.is_file() and file.suffix.lower() in TABLE_SUFFIXES[:-1]


def existing(path: Path) -> Path:
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


def unreadable(path: Path, err: Exception) -> DataError:
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
