"""Images of a store that are fetched when their turn comes, so that a night needs no room for all.

Until then an empty file of their size stands in their place, which lists and plans can be made of.
It is told by its mode from a copy, and what reads an image asks for it first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Final

from vae_anomaly.errors import DataError
from vae_anomaly.files import sha256_of
from vae_anomaly.storage.addresses import Address, copies_folder, require_room
from vae_anomaly.storage.stores import Store, StoredObject

_AWAITED: Final = 0o200  # mode of a file that only holds the place
_HERE: Final = 0o600
_is_later: ContextVar[Callable[[Address, str], bool]] = ContextVar(
    "is_later", default=lambda *_: False
)


@contextmanager
def fetched_later(suffixes: Iterable[str], *, alone: bool) -> Iterator[None]:
    """Let objects with names that end so be fetched only when `present` asks for them.

    What is listed and scored in the block has to ask. Where this process is not ``alone``, what no
    other process can read is fetched at once: ``memory://``.
    """
    endings = frozenset(suffixes)

    def is_later(address: Address, name: str) -> bool:
        is_seen = alone or address.scheme != "memory"
        return is_seen and PurePosixPath(name).suffix.lower() in endings and os.name != "nt"

    token = _is_later.set(is_later)
    try:
        yield
    finally:
        _is_later.reset(token)


def is_for_later(address: Address, name: str) -> bool:
    """Tell whether an object is to be fetched when its turn comes."""
    return _is_later.get()(address, name)


def hold_place(path: Path, one: StoredObject) -> None:
    """Put an empty file of its size in the place of a copy; its time tells the object's mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _put_empty(path, one.size_bytes, int(sha256_of(one.mark)[:15], 16))  # of a day before 2007


def _put_empty(path: Path, size_bytes: int, mtime_ns: int) -> None:
    with path.open("wb") as file:
        file.truncate(size_bytes)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    path.chmod(_AWAITED)


@contextmanager
def present(paths: Iterable[str]) -> Iterator[None]:
    """Have the copies of these paths here within the block; what was here before stays.

    Raises
    ------
    DataError
        If one is gone from the store, or has another size than it was listed with.
    ObjectStoreError, StorageError
        If the store does not answer, or the disk has no room.
    """
    top = os.path.join(copies_folder(), "")  # noqa: PTH118 - with a separator at its end
    awaited = [path for path in map(Path, _below(top, paths)) if is_awaited(path)]
    try:
        _fetch(awaited, Path(top))
        yield
    finally:
        for path in awaited:
            _empty(path)


def _below(top: str, paths: Iterable[str]) -> Iterator[str]:
    return (path for path in paths if path.startswith(top))


def is_awaited(path: Path) -> bool:
    """Tell whether a file only holds the place of a copy."""
    try:
        return path.stat().st_mode & 0o777 == _AWAITED
    except OSError:
        return False


def _fetch(paths: list[Path], top: Path) -> None:
    if not paths:
        return
    objects, before = [], [path.stat() for path in paths]
    for path, was in zip(paths, before, strict=True):
        scheme, *inside = path.relative_to(top).parts[2:]
        objects.append(StoredObject("/".join(inside), was.st_size, ""))
    store = Store(Address(scheme, objects[0].name))
    require_room(top, sum(one.size_bytes for one in objects), store.address)
    store.fetch(objects, paths)
    for path, was in zip(paths, before, strict=True):
        if path.stat().st_size != was.st_size:
            raise DataError(
                f"{path} was changed while it was scored. Run again when nothing writes to it any "
                "more."
            )
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
        path.chmod(_HERE)


def _empty(path: Path) -> None:
    """Give the room of a copy back; its place, its size and its time stay."""
    try:
        was = path.stat()
        _put_empty(path, was.st_size, was.st_mtime_ns)
    except OSError:  # it is gone with its folder
        return
