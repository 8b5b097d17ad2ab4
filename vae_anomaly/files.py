"""Put a file in its place whole or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vae_anomaly.errors import StorageError, VaeAnomalyError
from vae_anomaly.failpoints import reach

PARTIAL = ".partial"
_BLOCK_BYTES = 1 << 20


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; when the block ends well it takes its place.

    The order is: write, flush to disk, rename, flush the folder. A crash at any point leaves the
    older file, the newer file, or none if there was none; never a part of one.

    Parameters
    ----------
    target : Path
        The file to make or replace.

    Yields
    ------
    temporary : Path
        Where to write; in the same folder. It is removed if the block raises.

    Raises
    ------
    StorageError
        If the disk is full or not writable. An earlier ``target`` is intact.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        reach("temp-written")
        _sync(temporary)
        reach("temp-synced")
        temporary.replace(target)
        reach("renamed")
        _sync(target.parent)
        reach("folder-synced")
    except VaeAnomalyError:
        raise
    except OSError as err:
        raise StorageError(
            f"{target} cannot be written: {err.strerror or err}. An earlier file of that name is "
            "intact. Free some space or choose another --out, then run again."
        ) from err
    finally:
        temporary.unlink(missing_ok=True)


def remove_stale(root: Path) -> int:
    """Remove the temporary files of runs that were killed; return how many there were."""
    stale = [path for path in root.rglob(f".*{PARTIAL}") if path.is_file()]
    for path in stale:
        path.unlink(missing_ok=True)
    return len(stale)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
