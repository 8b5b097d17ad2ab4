"""An object store by a few verbs: list, fetch, put, create, remove; each with a deadline.

The drivers are fsspec's. They take their settings from the variables of their own libraries, such
as AWS_ENDPOINT_URL and AWS_PROFILE.
"""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vae_anomaly.storage.addresses import Address
from vae_anomaly.storage.answers import error_of, is_bucket_absent, no_answer

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

STEP_S: Final = 60.0
"""How long one step may take, and one second more for each `STEP_RATE` bytes that it moves."""
STEP_RATE: Final = 50_000.0  # bytes a second
_AT_ONCE: Final = 256  # files of one step
_BYTES_AT_ONCE: Final = 64 << 20
_OF_S3: Final = {
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 30,
        "retries": {"mode": "standard", "max_attempts": 3},
    },
}
_SETTINGS: Final = ("AWS_", "AZURE_", "GOOGLE_", "FSSPEC_")
"""Beginnings of the variables that drivers take settings from."""
_FAILED: Final = {"PreconditionFailed", "ConditionalRequestConflict"}
_UNKNOWN: Final = {"NotImplemented", "InvalidArgument"}  # of servers that know no If-Match
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class StoredObject:
    """An object as the store lists it.

    Parameters
    ----------
    name : str
        Bucket and key.
    mark : str
        Changes with the content: the ETag, else the time of its last change.
    """

    name: str
    size_bytes: int
    mark: str


class Store:
    """An object store, opened for an address.

    Every method raises what `error_of` makes of the store's own exceptions.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        settings = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(_SETTINGS)))
        self._fs = self._do(partial(_filesystem, address.scheme, os.getpid(), settings))

    def find(self, inside: str) -> list[StoredObject]:
        """List an object, or all below a folder, sorted by name; markers of folders are none."""
        try:
            found = self._do(lambda: self._raw(lambda: self._fs.find(inside, detail=True)))
        except _AbsentError:
            return []
        objects = [_found(facts) for facts in found.values() if facts.get("type") != "directory"]
        objects = [one for one in objects if not one.name.endswith("/")]
        return sorted(objects, key=lambda one: one.name)

    def fetch(self, objects: Sequence[StoredObject], targets: Sequence[Path]) -> None:
        """Copy objects to this machine; one that has another size by now is none that was there."""
        pairs = [
            (one.size_bytes, (one.name, target))
            for one, target in zip(objects, targets, strict=True)
        ]
        for n_bytes, some in _steps(pairs):
            names, paths = [name for name, _ in some], [str(path) for _, path in some]
            for _, path in some:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._do(partial(self._fs.get, names, paths), n_bytes)

    def put(self, files: Mapping[str, Path]) -> Iterator[None]:
        """Copy files into the store, by bucket and key; yield after each step of some of them."""
        pairs = [(path.stat().st_size, (path, name)) for name, path in files.items()]
        for n_bytes, some in _steps(pairs):
            paths, names = [str(path) for path, _ in some], [name for _, name in some]
            self._do(partial(self._fs.put, paths, names), n_bytes, writing=True)
            yield

    def read(self, inside: str) -> bytes | None:
        """Return what a small object holds; None where there is none."""
        try:
            content: bytes = self._do(lambda: self._raw(lambda: self._fs.cat_file(inside)))
        except _AbsentError:
            return None
        return content

    def write(self, inside: str, content: bytes) -> None:
        """Write a small object."""
        self._do(lambda: self._fs.pipe_file(inside, content), writing=True)

    def create(self, inside: str, content: bytes) -> bool:
        """Write a small object where there is none; say whether it was ours to write."""

        def made() -> bool:
            try:
                self._fs.pipe_file(inside, content, mode="create")
            except FileExistsError:
                return False
            return True

        return self._do(made, writing=True)

    def etag(self, inside: str) -> str | None:
        """Return what `replace` takes an object by; None where there is none, or no such thing."""
        if self.address.scheme != "s3":
            return None
        try:
            facts = self._do(lambda: self._raw(lambda: self._fs.info(inside, refresh=True)))
        except _AbsentError:
            return None
        return str(facts["ETag"]) if facts.get("ETag") else None

    def replace(self, inside: str, content: bytes, etag: str | None) -> bool:
        """Write a small object over the one of an ETag; say whether that was still there.

        Without an ETag, or where the store knows no condition, it is written whatever is there.
        """

        def made() -> bool:
            try:
                self._fs.pipe_file(inside, content, **({"IfMatch": etag} if etag else {}))
            except OSError as err:
                code = _code_of(err)
                if code in _UNKNOWN and etag:
                    self._fs.pipe_file(inside, content)
                elif code in _FAILED or (etag and isinstance(err, FileNotFoundError)):
                    return False
                else:
                    raise
            return True

        return self._do(made, writing=True)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects; those that are gone already are no fault."""
        for n_names, some in _steps([(1, glob.escape(name)) for name in names]):
            self._do(partial(self._remove, some), n_names, writing=True)

    def _remove(self, names: list[str]) -> None:
        try:
            self._fs.rm(names)
        except FileNotFoundError:
            if len(names) > 1:
                for name in names:
                    self._remove([name])

    def _raw(self, read: Callable[[], _Result]) -> _Result:
        """Read; an object that is not there is no fault, a bucket is."""
        try:
            return read()
        except FileNotFoundError as err:
            if is_bucket_absent(str(err)):
                raise
            raise _AbsentError from None

    def _do(
        self, step: Callable[[], _Result], n_bytes: int = 0, *, writing: bool = False
    ) -> _Result:
        """Take one step, within its deadline."""
        allowed_s = STEP_S + n_bytes / STEP_RATE
        try:
            return _within(allowed_s, step)
        except _AbsentError:
            raise
        except _LateError:
            raise no_answer(self.address, f"not done in {allowed_s:.0f} s") from None
        except Exception as err:
            meant = error_of(err, self.address, writing=writing)
            if meant is None or meant is err:
                raise
            raise meant from err


def _code_of(err: BaseException) -> str:
    """Return what S3 calls an error; empty of any other."""
    answer = getattr(err.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


@cache
def _filesystem(
    scheme: str, process: int, settings: tuple[tuple[str, str], ...]
) -> AbstractFileSystem:
    """Open a driver, once in a process for the same settings."""
    import fsspec

    own = dict(_OF_S3) if scheme in ("s3", "s3a") else {}
    fs = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **own)
    if hasattr(fs, "retries"):
        fs.retries = 2  # of s3fs, around those of botocore
    return fs


class _AbsentError(Exception):
    """There is no such object."""


class _LateError(Exception):
    """A step has taken too long."""


def _within(allowed_s: float, step: Callable[[], _Result]) -> _Result:
    """Return what a step gives; a `_LateError` where that takes longer.

    Drivers have timeouts for each read, so that a server which drips byte by byte keeps them for
    ever. The step is left to a thread that ends with the process.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(step())
        except BaseException as err:  # noqa: BLE001 - raised where it is waited for
            errors.append(err)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(allowed_s)
    if errors:
        raise errors[0]
    if not results:
        raise _LateError
    return results[0]


def _found(facts: Mapping[str, Any]) -> StoredObject:
    marks = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
    mark = next((str(facts[name]) for name in marks if facts.get(name)), "")
    return StoredObject(str(facts["name"]).lstrip("/"), int(facts["size"] or 0), mark)


def _steps(pairs: Sequence[tuple[int, _Result]]) -> Iterator[tuple[int, list[_Result]]]:
    """Cut what is to be moved into steps of some files and bytes."""
    some: list[_Result] = []
    n_bytes = 0
    for size_bytes, one in pairs:
        if some and (len(some) == _AT_ONCE or n_bytes + size_bytes > _BYTES_AT_ONCE):
            yield n_bytes, some
            some, n_bytes = [], 0
        some.append(one)
        n_bytes += size_bytes
    if some:
        yield n_bytes, some
