"""Who may write to a folder in an object store: the run whose lock object lies there.

The lock is written where there is none, which stores such as S3 do in one step, and renewed while
its run lives. A run that was killed renews nothing: its lock lapses, and the next one takes it
over; at once where the run worked in the same folder of the same machine, which is free again. On
S3 only the lock that was read is taken over or renewed (If-Match), so of several one has it.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

from vae_anomaly.errors import LockedError, VaeAnomalyError
from vae_anomaly.state import from_json
from vae_anomaly.storage.stores import Store

LEASE_FILE: Final = ".lock"
RENEWED_S: Final = 60.0
LAPSES_S: Final = 300.0
_TRIES: Final = 3


@dataclass(frozen=True)
class Lease:
    """What a lock object says: which run of which process, and when it was last renewed."""

    run: str
    host: str
    pid: int
    place: str  # where it works on that machine
    renewed: float  # seconds since 1970

    def encoded(self) -> bytes:
        """Return it as JSON, renewed now."""
        return json.dumps(asdict(replace(self, renewed=time.time())), sort_keys=True).encode()


@dataclass
class HeldLease:
    """The lock of a run; `require` before every step that others would see."""

    store: Store
    name: str
    own: Lease

    def require(self) -> None:
        """Refuse to go on where another run has the lock: a LockedError."""
        other = _read(self.store, self.name)
        if other is None or other.run != self.own.run:
            by = "was removed" if other is None else f"is now that of {_words(other)}"
            raise LockedError(
                f"{_shown(self.store, self.name)}, the lock of this run, {by}. Nothing more is "
                "written there: wait for the other run, then run again."
            )

    def renew(self) -> None:
        """Say that this run lives, unless the lock is another's."""
        etag = self.store.etag(self.name)
        other = _read(self.store, self.name)
        if other is not None and other.run == self.own.run:
            self.store.replace(self.name, self.own.encoded(), etag)


@contextmanager
def leased(store: Store, folder: str, run: str, place: str) -> Iterator[HeldLease]:
    """Hold the lock of a folder in a store.

    Parameters
    ----------
    folder : str
        Bucket and key of the folder.
    place : str
        Where the run works on this machine; nobody else works there, which another lock asserts.

    Raises
    ------
    LockedError
        If another run holds it.
    """
    lease = Lease(run, platform.node(), os.getpid(), place, 0.0)
    held = HeldLease(store, f"{folder}/{LEASE_FILE}", lease)
    _acquire(held)
    ended = threading.Event()
    thread = threading.Thread(target=_keep_renewing, args=(held, ended), daemon=True)
    thread.start()
    try:
        yield held
    finally:
        ended.set()
        with suppress(VaeAnomalyError):
            held.require()
            store.remove([held.name])


def _acquire(held: HeldLease) -> None:
    for _ in range(_TRIES):
        if held.store.create(held.name, held.own.encoded()):
            return
        etag = held.store.etag(held.name)  # before it is read: a later lock has another
        other = _read(held.store, held.name)
        if other is None:  # it was released just now
            continue
        if not _is_dead(other, held.own):
            raise _locked(held, other)
        if not held.store.replace(held.name, held.own.encoded(), etag):
            continue  # another was faster
        held.require()  # without conditions the last of several that take it over has it
        return
    raise LockedError(f"{_shown(held.store, held.name)} comes and goes. Run again.")


def _is_dead(other: Lease, own: Lease) -> bool:
    """Tell whether a lock is that of a run which is no more."""
    was_here = (other.host, other.place) == (own.host, own.place)
    return was_here or time.time() - other.renewed > LAPSES_S


def _keep_renewing(held: HeldLease, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_S):
        with suppress(VaeAnomalyError):  # what fails now is found out by the next step
            held.renew()


def _read(store: Store, name: str) -> Lease | None:
    content = store.read(name)
    if content is None:
        return None
    try:
        return from_json(Lease, json.loads(content))
    except (ValueError, AttributeError, RecursionError):
        return Lease("", "an unknown machine", 0, "", 0.0)  # nobody's, and lapsed


def _locked(held: HeldLease, other: Lease) -> LockedError:
    since = max(0.0, time.time() - other.renewed)
    name = _shown(held.store, held.name)
    folder = name.removesuffix(f"/{LEASE_FILE}")
    return LockedError(
        f"Another run is writing to {folder}: {_words(other)}, which renewed its lock "
        f"{since:.0f} s ago. Wait for it, or choose another --out. If it is dead, "
        f"its lock lapses {LAPSES_S - since:.0f} s from now; to go on at once, remove {name}."
    )


def _words(lease: Lease) -> str:
    return f"run {lease.run or '?'} on {lease.host} (process {lease.pid})"


def _shown(store: Store, name: str) -> str:
    return f"{store.address.scheme}://{name}"
