"""Copies of what lies in object stores, for as long as this process runs.

Whatever is read is first copied to a folder of this process, whole; all else reads files. A copy is
fetched once, and again only where the store has something else by then.
"""

from __future__ import annotations

import atexit
import glob
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from filelock import FileLock, Timeout

from vae_anomaly.errors import DataError, StorageError
from vae_anomaly.storage.addresses import (
    Address,
    address_of,
    copies_folder,
    copy_path,
    is_remote,
    path_of_file,
    require_room,
)
from vae_anomaly.storage.later import hold_place, is_awaited, is_for_later
from vae_anomaly.storage.stores import Store, StoredObject
from vae_anomaly.words import number_of

logger = logging.getLogger(__name__)
_LOCK: Final = ".lock"
_BEING_MADE_S: Final = 60.0
_kept: dict[Path, str] = {}  # what each copy of this process is a copy of


def on_disk(path: str | Path, *, missing_ok: bool = False) -> str | Path:
    """Return where something can be read on this machine: an address is fetched, whole.

    Parameters
    ----------
    path : str or Path
        A path, which is returned as it is, a ``file://`` address, or the address of an object, of
        all below a folder, or a pattern in an object store.
    missing_ok : bool
        Return where the copy would be, if nothing is there.

    Raises
    ------
    DataError
        If nothing is there, or it was changed while it was fetched.
    StorageError
        If the disk has no room for it.
    ObjectStoreError, MissingExtraError, ConfigError
        As `vae_anomaly.storage.answers.error_of` and `address_of`.
    """
    if not is_remote(path):
        return _plain(path)
    address = address_of(path)
    store, folder = Store(address), _work_folder(os.getpid(), copies_folder())
    found = store.find(address.fixed)
    _drop(folder / address.scheme / address.fixed, {one.name for one in found}, folder)
    if address.is_pattern:
        found = [one for one in found if _matches(address, one.name)]
    if not found and not missing_ok:
        what = "nothing matches it" if address.is_pattern else "nothing is there"
        raise DataError(f"{address}: {what}. Check the address.")
    _fetch(store, found, folder)
    if address.is_pattern:
        start = glob.escape(str(folder / address.scheme))
        return f"{start}/{address.inside}"
    return address.under(folder)


def _plain(path: str | Path) -> str | Path:
    plain = path_of_file(path)
    if plain is None and "://" in str(path):
        raise DataError(
            f"{path} is no address that is read. Give a path, file:///PATH, or an object store "
            "such as s3://BUCKET/FOLDER; download all else first."
        )
    return plain or path


def names_in(folder: str) -> list[str]:
    """List the names of what lies in a folder, here or in a store; an OSError where it is none."""
    if not is_remote(folder):
        return os.listdir(folder)  # noqa: PTH208 - names alone
    address = address_of(folder)
    inside = [one.name.removeprefix(f"{address.inside}/") for one in _found(address)]
    return sorted({name.partition("/")[0] for name in inside})


def is_there(path: str) -> bool:
    """Tell whether something lies at a path or address."""
    return bool(_found(address_of(path))) if is_remote(path) else os.path.lexists(path)


def _found(address: Address) -> list[StoredObject]:
    return Store(address).find(address.inside)


def fetch_beside(copy: Path, names: Sequence[str]) -> None:
    """Fetch what a copy, such as a list of images, names in the folder that it lies in.

    Of a path that is no copy nothing is done. Names that are not there are left out.
    """
    address = _origin(copy)
    if address is None:
        return
    folder, store = _work_folder(os.getpid(), copies_folder()), Store(address)
    parent = address.inside.rpartition("/")[0]
    wanted = {f"{parent}/{name}" for name in names}
    _fetch(store, [one for one in store.find(parent) if one.name in wanted], folder)


@contextmanager
def copies_dropped() -> Iterator[None]:
    """Remove at the end of the block what was fetched in it."""
    before = set(_kept)
    try:
        yield
    finally:
        for path in _kept.keys() - before:
            del _kept[path]
            path.unlink(missing_ok=True)


def _origin(path: Path) -> Address | None:
    """Return the address of a copy of this process."""
    folder = _work_folder(os.getpid(), copies_folder()) if path in _kept else None
    if folder is None or not path.is_relative_to(folder):
        return None
    scheme, *inside = path.relative_to(folder).parts
    return Address(scheme, "/".join(inside))


def _fetch(store: Store, found: Sequence[StoredObject], folder: Path) -> None:
    """Fetch what is not here yet, after a look at the names and at the room for it."""
    _refuse_folders(store.address, {one.name for one in found})
    paths = [copy_path(folder, store.address.scheme, one.name) for one in found]
    wanted = [
        (one, path)
        for one, path in zip(found, paths, strict=True)
        if _kept.get(path) != one.mark or not path.is_file() or is_awaited(path)
    ]
    later = {path for one, path in wanted if is_for_later(store.address, one.name)}
    for one, path in wanted:
        if path in later:
            hold_place(path, one)
    now = [(one, path) for one, path in wanted if path not in later]
    n_bytes = sum(one.size_bytes for one, _ in now)
    require_room(folder, n_bytes, store.address)
    if now:
        n = number_of(len(now), "file")
        logger.info("fetching %s (%.1f MB) from %s", n, n_bytes / 1e6, store.address)
    store.fetch([one for one, _ in now], [path for _, path in now])
    for one, path in wanted:
        if path.stat().st_size != one.size_bytes:
            raise DataError(
                f"{store.address.scheme}://{one.name} was changed while it was fetched. Run again "
                "when nothing writes to it any more."
            )
        _kept[path] = one.mark


def _refuse_folders(address: Address, names: Set[str]) -> None:
    both = {str(parent) for name in names for parent in PurePosixPath(name).parents} & names
    if both:
        raise DataError(
            f"{address.scheme}://{min(both)} is both an object and a folder of others, which no "
            "disk has. Rename that object."
        )


def _drop(place: Path, names: Set[str], folder: Path) -> None:
    """Remove copies below a place of what is no longer in the store."""
    for path in [path for path in _kept if path.is_relative_to(place)]:
        if path.relative_to(folder).as_posix().partition("/")[2] not in names:
            del _kept[path]
            path.unlink(missing_ok=True)


def _matches(address: Address, name: str) -> bool:
    """Tell whether a pattern takes an object: it, or a folder that it lies in, matches."""
    pattern, path = _compiled(address.inside), PurePosixPath(name)
    return any(pattern.fullmatch(str(one)) for one in (path, *path.parents))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    from fsspec.utils import glob_translate

    steps = [step if step == "**" else re.sub(r"\*+", "*", step) for step in pattern.split("/")]
    return re.compile(glob_translate("/".join(steps)))


# ------------------------------------------------------------------ the folder of this process


@cache
def _work_folder(process: int, copies: Path) -> Path:
    """Make the folder for the copies of a process, which goes with it."""
    base = copies / "inputs"
    try:
        base.mkdir(parents=True, exist_ok=True)
        _remove_left_over(base)
        folder = Path(tempfile.mkdtemp(prefix=f"{process}-", dir=base))
        lock = FileLock(folder / _LOCK)
        lock.acquire(timeout=0)
    except OSError as err:
        raise StorageError(
            f"{base} cannot be written: {err.strerror or err}. Set VAE_ANOMALY_CACHE to a folder "
            "of yours."
        ) from err
    atexit.register(_remove, folder, lock, process)
    return folder


def _remove(folder: Path, lock: FileLock, process: int) -> None:
    if os.getpid() == process:  # not at the end of a fork
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _remove_left_over(base: Path) -> None:
    """Remove the folders of processes that were killed: those that nobody holds."""
    for folder in base.iterdir():
        lock = FileLock(folder / _LOCK)
        try:
            if time.time() - folder.stat().st_mtime < _BEING_MADE_S:
                continue
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
