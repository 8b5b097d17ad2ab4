"""Which table files a path, a folder, a pattern or a list of these stands for.

Nothing in a folder is passed over in silence. Companions of tables are known by their names;
what looks like data of another kind is refused by name; all else is named in a warning.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vae_anomaly.data.tables.files.suffixes import READABLE, is_table, packing_of, role_of
from vae_anomaly.errors import DataError
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import names_of

logger = logging.getLogger(__name__)
_SHOWN = 5


@dataclass(frozen=True)
class TableFile:
    """A table file, and what it is called among those that were listed with it.

    Parameters
    ----------
    path : Path
    name : Path
        Below the folder that it was found in; of a folder that a pattern matched, with that folder.
    folder : str
        Name of the folder that it was found in; of a file that was named itself, of the one
        that it lies in.
    """

    path: Path
    name: Path
    folder: str


def list_partitions(source: Any) -> list[Path]:
    """List the table files that a path, folder, glob or list of these stands for.

    In a folder, and the folders within, every file counts whose name says that it is a table:
    .parquet, .pq, .csv, .tsv, .txt, and text packed as .gz, .bz2, .xz, .zst, .zip. Names that start
    with "." or "_" do not. They are sorted by path; a list keeps its order.

    Raises `DataError` if a path does not exist or holds no table, a folder holds data that is not
    read, or a file is named twice.
    """
    return [file.path for file in list_files(source)]


def list_files(source: Any) -> list[TableFile]:
    """List as `list_partitions`, with a name for each file."""
    sources = source if isinstance(source, (list, tuple)) else [source]
    files = [file for one in sources for file in _files_of(one)]
    if not files:
        raise DataError("No table was given: the list is empty. Name a file, folder or glob.")
    _refuse_twice(files)
    return files


def is_path_like(source: object) -> bool:
    """Tell paths from data: text, paths, or a list of nothing but these; an empty list is one."""
    if isinstance(source, (str, Path)):
        return True
    return isinstance(source, (list, tuple)) and all(
        isinstance(item, (str, Path)) for item in source
    )


def existing(path: Path) -> Path:
    """Return the path if it is a table file with something in it."""
    if path.is_symlink() and not path.exists():
        raise _dangling(path)
    if not path.is_file():
        raise DataError(f"{path} is not a file. Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes). Write it again, or leave it out.")
    if not is_table(path):
        raise DataError(
            f"{path} does not end like a table. {READABLE}. Convert it to parquet or CSV."
        )
    return path


def _files_of(source: Any) -> list[TableFile]:
    """Expand one path, folder or glob."""
    _refuse_no_path(source)
    source = on_disk(source)
    path = Path(source)
    if path.is_dir():
        return _files_below(path)
    if not os.path.lexists(path) and glob.has_magic(str(source)):
        return _matches_of(str(source))
    return [_alone(existing(path))]


def _alone(path: Path) -> TableFile:
    return TableFile(path, Path(path.name), path.absolute().parent.name)


def _refuse_no_path(source: Any) -> None:
    """Refuse empty text, which would be the folder that one is in."""
    if source == "":
        raise DataError("A path is empty. Name a file, folder or glob; . is the folder here.")


def _files_below(folder: Path) -> list[TableFile]:
    tables = _tables_among(folder, _walk(folder))
    if not tables:
        raise DataError(f"{folder} holds no table. {READABLE}. Put some there, or name another.")
    return [TableFile(path, path.relative_to(folder), folder.absolute().name) for path in tables]


def _matches_of(pattern: str) -> list[TableFile]:
    """Expand a pattern; a folder that it matches stands for the tables in it."""
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - absolute patterns
    if not found:
        raise DataError(f"No file matches {pattern}. Check the pattern and its quotes.")
    folders = [path for path in found if path.is_dir()]
    inside = {path for path in found if any(folder in path.parents for folder in folders)}
    alone = [path for path in found if path not in inside and path not in folders]
    files = [_alone(path) for path in _tables_among(Path(pattern), alone)]
    for folder in folders:
        if folder not in inside:
            files += [replace(f, name=folder.name / f.name) for f in _files_below(folder)]
    if not files:
        raise DataError(f"No table matches {pattern}, only other files. {READABLE}.")
    return sorted(files, key=lambda file: file.path)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder that is not hidden; links to folders are followed once."""
    seen: set[str] = set()
    for name, folders, files in os.walk(folder, onerror=_refuse_closed, followlinks=True):
        here = os.path.realpath(name)
        folders[:] = [] if here in seen else sorted(f for f in folders if f[0] not in "._")
        if here not in seen:
            yield from (Path(name) / file for file in sorted(files))
        seen.add(here)


def _tables_among(where: Path, files: Iterable[Path]) -> list[Path]:
    """Return the tables, sorted; refuse other data, and name what else is left out."""
    by_role: dict[str, list[Path]] = {}
    for file in files:
        by_role.setdefault(role_of(file), []).append(file)
    if other_data := sorted(by_role.get("data", [])):
        raise DataError(
            f"{where} also holds data that is not read: {_shown(other_data)}. Convert it to "
            "parquet or CSV, or move it elsewhere; else its rows would be missing."
        )
    if unknown := sorted(by_role.get("other", [])):
        logger.warning("%s: left out, as no tables by their names: %s", where, _shown(unknown))
    return _once_each(sorted(by_role.get("table", [])))


def _once_each(tables: list[Path]) -> list[Path]:
    """Leave out links to files that are listed themselves; refuse what is no file."""
    for path in tables:
        if not path.exists():
            raise _dangling(path)
        if not path.is_file():
            raise DataError(f"{path} is neither a file nor a folder. Remove it, or move it.")
    _refuse_packed_twice(tables)
    themselves = {os.path.realpath(path) for path in tables if not path.is_symlink()}
    copies = [p for p in tables if p.is_symlink() and os.path.realpath(p) in themselves]
    if copies:
        logger.warning("left out, as links to files that are read: %s", _shown(copies))
    return [path for path in tables if path not in copies]


def _refuse_packed_twice(tables: list[Path]) -> None:
    """Refuse a table that lies beside itself packed: its rows would count twice."""
    bare: dict[Path, Path] = {}
    for path in tables:
        text = path.with_suffix("") if packing_of(path) else path
        other = bare.setdefault(text, path)
        if other is not path:
            raise DataError(
                f"{other} and {path} are one table, packed and not. Remove or move one of them."
            )


def _refuse_twice(files: list[TableFile]) -> None:
    """Refuse one file under two names."""
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(os.path.realpath(file.path), file.path)
        if other is not file.path:
            also = "" if other == file.path else f", as {other} as well"
            raise DataError(f"{file.path} is given twice{also}. Name every file once.")


def _refuse_closed(err: OSError) -> None:
    raise DataError(
        f"{err.filename} cannot be listed: {err.strerror}. Grant access to it, or move it."
    ) from None


def _dangling(path: Path) -> DataError:
    return DataError(
        f"{path} is a link to {os.readlink(path)}, which is not there. Restore that file, or "  # noqa: PTH115 - as it is written
        "remove the link."
    )


def _shown(files: list[Path]) -> str:
    return names_of(files, _SHOWN)
