"""The first use of a SQLite store: MLflow's tables are made once, all of them or none.

SQLite has no migration in one transaction, so a process that ends while tables are made would leave
a database that is broken for good. They are made in a file beside it, which then takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from vae_anomaly.errors import RegistryUnavailableError, StorageError, VaeAnomalyError
from vae_anomaly.files import PARTIAL, is_full_disk, replace_file
from vae_anomaly.names import typed
from vae_anomaly.tracking.databases.addresses import sqlite_uri
from vae_anomaly.words import reason_of

_BUSY: Final = re.compile(r"database is locked")
_OLD: Final = re.compile(r"out-of-date database schema|Can't locate revision")

Open = Callable[[str], object]
"""Opens the store of an address with MLflow, which makes the tables that it lacks."""


def open_sqlite(database: Path, make: Open) -> None:
    """Open a SQLite store; one that is not there is made beside its place and then put there.

    Whoever calls it holds the lock of the store.

    Raises
    ------
    RegistryUnavailableError
        If the file is damaged, or of another version of MLflow.
    StorageError
        If it cannot be written; an earlier file is intact.
    """
    if database.exists() and database.stat().st_size:
        _opened(database, make)
        return
    for left in database.parent.glob(f".{database.name}.*{PARTIAL}*"):  # of a process that ended
        left.unlink(missing_ok=True)
    remedy = "Free some space, or name another folder with --tracking-uri."
    with replace_file(database, remedy) as temporary:
        _opened(temporary, make)


def _opened(database: Path, make: Open) -> None:
    try:
        make(sqlite_uri(database))
    except VaeAnomalyError:
        raise
    except Exception as err:  # noqa: BLE001  # whatever MLflow, SQLAlchemy and Alembic raise
        raise _fault_of(database, err) from None


def _fault_of(database: Path, err: Exception) -> VaeAnomalyError:
    """Return what it means that a file of SQLite cannot be opened as a store."""
    reason = reason_of(err)
    if is_full_disk(err):
        return StorageError(
            f"{database} cannot be written: {reason}. Free some space, or name another folder "
            "with --tracking-uri."
        )
    if _BUSY.search(reason):
        return RegistryUnavailableError(
            f"{database} is in use by another process ({reason}). Try again."
        )
    if _OLD.search(reason):
        return RegistryUnavailableError(
            f"{database} was made by another version of MLflow ({reason}). Copy the file, then: "
            f"{typed('mlflow', 'db', 'upgrade', sqlite_uri(database))}"
        )
    return RegistryUnavailableError(
        f"{database} is damaged, or no MLflow database: {reason}. Put a copy of it back; without "
        f"one, move the file away (the files of its runs stay in {database.parent}) and register "
        "its models again."
    )
