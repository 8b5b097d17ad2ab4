"""Who may write to an output folder: the run that holds it, and the workers that it has started.

A run holds its folder by a lock, which goes with its process, and writes its name into ``.run``.
Its workers are told the name and ask for it before they write, so that one that is left over from a
killed run never writes into the results of the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vae_anomaly.batch.output.written import HOLDER, refuse_links
from vae_anomaly.errors import LockedError, StorageError
from vae_anomaly.files import asking_before_writes, reach


@contextmanager
def held(root: Path, run: str) -> Iterator[None]:
    """Hold the output folder for a run; a killed holder lets it go with its process.

    Raises
    ------
    LockedError
        If another run holds it.
    StorageError
        If it cannot be written, or a link in it leads out of it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise LockedError(
            f"Another run is writing to {root}. Wait for it, or choose another --out."
        ) from None
    except OSError as err:
        raise _closed(root, err) from err
    try:
        reach("locked")
        refuse_links(root)
        try:
            (root / HOLDER).write_text(run, encoding="utf-8")
        except OSError as err:
            raise _closed(root, err) from err
        with writing_for(run, root):
            yield
    finally:
        with suppress(OSError):
            if _holder(root) == run:
                (root / HOLDER).unlink()
        lock.release()


@contextmanager
def writing_for(run: str, root: Path) -> Iterator[None]:
    """Within the block write and remove files only while that run, if any, holds the folder.

    Raises
    ------
    LockedError
        If another run has the folder, or none, at the start or at any file; that file stays.
    """

    def ask() -> None:
        if run and _holder(root) != run:
            raise LockedError(
                f"{root} is no longer held by this run, which writes nothing more to it: another "
                "has begun there. Wait for that one, then run again."
            )

    ask()
    with asking_before_writes(ask):
        yield


def _holder(root: Path) -> str:
    try:
        return (root / HOLDER).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _closed(root: Path, err: OSError) -> StorageError:
    return StorageError(f"{root} cannot be written: {err.strerror or err}. Choose another --out.")
