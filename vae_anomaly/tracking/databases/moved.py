"""A store folder that was moved or copied: its database still names the place where it was.

MLflow keeps the place of each run and model as an absolute address. In a copy these are addresses
of the original. What is read is taken from the folder that the database lies in, where it is; every
file of a model is checked against its digest in any case. Nothing is written before `relink_store`
has put the addresses right, for it would land in the old place.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from filelock import FileLock

from vae_anomaly.errors import ConfigError, RegistryUnavailableError, StorageError
from vae_anomaly.names import typed
from vae_anomaly.tracking.databases.addresses import database_of
from vae_anomaly.words import names_of, reason_of

ARTIFACTS = "artifacts"
LOCK = ".mlflow.db.lock"
_PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
_told: set[Path] = set()
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Relinked:
    """Where a store is, where it was, and how many addresses were put right."""

    folder: str
    was: tuple[str, ...]
    addresses: int


def experiment_folder(folder: Path, experiment: str) -> Path:
    """Return where a store in ``folder`` keeps the files of an experiment."""
    return folder / ARTIFACTS / re.sub(r"[^\w.-]", "_", experiment)


def local_path(address: str) -> Path | None:
    """Return the path of a ``file:`` address or of a plain path; None for anything else."""
    parts = urlsplit(address)
    if parts.scheme == "file" and not parts.netloc:
        return Path(url2pathname(parts.path))
    return Path(address) if address.startswith("/") else None


def moved_from(uri: str) -> tuple[Path, ...]:
    """Return the folders that a store names as its own and that are not where it lies.

    None where it lies where it says, for a store elsewhere, and where experiments keep their files
    in a place that somebody chose for them.
    """
    database = database_of(uri)
    if database is None or not database.is_file():
        return ()
    roots: dict[Path, None] = {}
    for name, address, has_runs in _experiments(database):
        root = _root_of(address, name)
        if root is None or _same(root, database.parent):
            continue
        came_along = experiment_folder(database.parent, name).exists()
        is_gone = has_runs and not experiment_folder(root, name).exists()
        if came_along or is_gone or (root / database.name).exists():
            roots[root] = None
    return tuple(roots)


def refuse_moved(uri: str) -> None:
    """Refuse to write into a store that was moved or copied and not put right since.

    Raises
    ------
    RegistryUnavailableError
        If it was; it names both places and the command that puts it right.
    """
    was, database = moved_from(uri), database_of(uri)
    if was and database is not None:
        raise RegistryUnavailableError(
            f"The store in {database.parent} was moved or copied from {names_of(was)}, and would "
            f"write there. Put it right: vae-anomaly models relink --tracking-uri "
            f"{typed(database.parent)}"
        )


def found_here(uri: str, address: str) -> Path | None:
    """Return where a file or folder of a moved store lies now; None where it did not move.

    The first time in a process it is told.
    """
    database, path = database_of(uri), local_path(address)
    if database is None or path is None or path.is_relative_to(database.parent):
        return None
    for root in moved_from(uri):
        if not path.is_relative_to(root / ARTIFACTS):
            continue
        here = database.parent / path.relative_to(root)
        if here.exists():
            if database not in _told:
                _told.add(database)
                logger.warning(
                    "the store in %s was moved or copied from %s: its files are read where it is "
                    "now. Before it is written to: vae-anomaly models relink --tracking-uri '%s'",
                    database.parent, root, database.parent,
                )  # fmt: skip
            return here
    return None


def relink_store(uri: str) -> Relinked:
    """Let the addresses of a moved store name the folder that it lies in.

    All in one transaction; what was copied from is left as it is.

    Raises
    ------
    ConfigError
        If it is no store of a folder.
    StorageError
        If its files did not come along, or the database cannot be written.
    """
    database = database_of(uri)
    if database is None or not database.is_file():
        raise ConfigError(f"{uri} is no store of a folder that is there. Give its folder.")
    folder, was = database.parent, moved_from(uri)
    if was and not (folder / ARTIFACTS).is_dir():
        raise StorageError(
            f"The files of the store in {folder} did not come along. Copy {was[0] / ARTIFACTS} to "
            f"{folder / ARTIFACTS}, then run this again."
        )
    try:
        with FileLock(folder / LOCK), closing(sqlite3.connect(database)) as connection, connection:
            n = sum(_rewrite(connection, root, folder) for root in was)
    except (OSError, sqlite3.Error) as err:
        raise StorageError(
            f"{database} cannot be written: {reason_of(err)}. Nothing was changed."
        ) from err
    return Relinked(str(folder), tuple(map(str, was)), n)


def _rewrite(connection: sqlite3.Connection, root: Path, folder: Path) -> int:
    """Replace the beginning of each address below a root; return how many there were."""
    changed = 0
    for table, columns in _PLACES.items():
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for column in known.intersection(columns):
            for old, new in _spellings(root, folder):
                done = connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - ours
                    f"WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old), old),
                )
                changed += done.rowcount
    return changed


def _spellings(root: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield how an address below ``root`` begins, and how one below ``folder`` does."""
    yield f"{(root / ARTIFACTS).as_uri()}/", f"{(folder / ARTIFACTS).as_uri()}/"
    yield f"{root / ARTIFACTS}/", f"{folder / ARTIFACTS}/"


def _experiments(database: Path) -> list[tuple[str, str, bool]]:
    """Return name, address and whether there are runs, of each experiment; empty if unreadable."""
    query = (
        "SELECT name, artifact_location, EXISTS (SELECT 1 FROM runs WHERE "
        "runs.experiment_id = experiments.experiment_id) FROM experiments"
    )
    try:
        address = f"file:{quote(str(database))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            rows = connection.execute(query).fetchall()
    except sqlite3.Error:  # no database of MLflow: that is told where it is opened
        return []
    return [(str(name), str(place or ""), bool(runs)) for name, place, runs in rows]


def _root_of(address: str, experiment: str) -> Path | None:
    """Return the store folder that an experiment's address lies in, if it is written as ours."""
    path = local_path(address)
    if path is None or len(path.parents) < 2:
        return None
    root = path.parents[1]
    return root if path == experiment_folder(root, experiment) else None


def _same(a: Path, b: Path) -> bool:
    """Tell whether two paths are one folder, whatever links lead to it."""
    return a == b or (a.exists() and b.exists() and a.samefile(b))
