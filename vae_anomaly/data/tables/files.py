"""Which files a path, folder, glob or list of these stands for, and what is wrong with one."""

from __future__ import annotations

import glob
from collections import Counter
from pathlib import Path
from typing import Any, Final

from vae_anomaly.errors import DataError

TABLE_SUFFIXES: Final = (".parquet", ".pq", ".csv", ".tsv", ".txt")


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
