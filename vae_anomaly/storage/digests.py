"""What copies that are awaited hold, as far as it was seen before: nothing is fetched to know it.

The memory is a cache below the cache folder, by address, size and the mark of the store (its ETag),
which changes with the content. Without it everything is fetched, and found out again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from vae_anomaly.storage.addresses import Address, copies_folder
from vae_anomaly.storage.answers import store_name
from vae_anomaly.storage.later import is_awaited

_NAME: Final = "digests.sqlite"
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS digests (
    name TEXT NOT NULL, size INTEGER NOT NULL, mark INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (name, size, mark)
) STRICT, WITHOUT ROWID
"""
_MOST_BYTES: Final = 256 << 20  # of about two million images; then it begins anew
_Key = tuple[str, int, int]


def recalled_digests(paths: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of those awaited copies that were here before and are the same still."""
    keys = {path: key for path in paths if (key := _key(path)) and is_awaited(Path(path))}
    if not keys:
        return {}
    found: dict[str, str] = {}
    with _opened() as database:
        for path, key in keys.items():
            row = database.execute(
                "SELECT sha256 FROM digests WHERE name = ? AND size = ? AND mark = ?", key
            ).fetchone()
            if row is not None:
                found[path] = str(row[0])
    return found


def remember_digests(digests: Mapping[str, str]) -> None:
    """Keep the SHA-256 of copies; of paths that are none nothing is kept."""
    rows = [(*key, digest) for path, digest in digests.items() if (key := _key(path))]
    if rows:
        _forget_when_large()
        with _opened() as database:
            database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?)", rows)


def _key(path: str) -> _Key | None:
    """Return by what a copy is known: its address, size and mark; None for any other path."""
    top = os.path.join(copies_folder(), "inputs", "")  # noqa: PTH118 - with a separator at its end
    if not path.startswith(top):
        return None
    _, scheme, *inside = Path(path).relative_to(top).parts
    address = Address(scheme, "/".join(inside))
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return f"{store_name(address)} {address}", found.st_size, found.st_mtime_ns


def _forget_when_large() -> None:
    with suppress(OSError):
        if (copies_folder() / _NAME).stat().st_size > _MOST_BYTES:
            (copies_folder() / _NAME).unlink()


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    """Open the memory; where that fails, one that is empty and forgets."""
    try:
        database = sqlite3.connect(copies_folder() / _NAME, isolation_level=None, timeout=10.0)
        database.execute(_CREATE)
    except sqlite3.Error:
        database = sqlite3.connect(":memory:", isolation_level=None)
        database.execute(_CREATE)
    with closing(database):
        try:
            database.execute("BEGIN")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error:
            return  # a full disk or a busy memory costs a fetch, no night
