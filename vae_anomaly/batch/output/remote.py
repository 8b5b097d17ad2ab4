"""An output folder in an object store: a folder on this machine, and what is put there of it.

A run works in a folder below the cache folder, with every guarantee of a local one. Before it
begins, that folder is made what the store holds: its ledger, its manifest and the files that the
ledger lists; what else lies there, half of a run that was killed, is nothing. What is done is put
there partition by partition, then the ledger, and at the end `manifest.json`, which alone commits.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vae_anomaly.batch.output.ledger import Ledger
from vae_anomaly.batch.output.manifest import MANIFEST
from vae_anomaly.batch.output.written import LEDGER, is_model_path
from vae_anomaly.errors import ConfigError, VaeAnomalyError
from vae_anomaly.files import reach, sha256_of, write_json
from vae_anomaly.storage.addresses import (
    Address,
    address_of,
    copies_folder,
    copy_path,
    is_remote,
    path_of_file,
    require_room,
)
from vae_anomaly.storage.answers import store_name
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.storage.leases import HeldLease, leased
from vae_anomaly.storage.stores import Store, StoredObject
from vae_anomaly.tracking.nights import LEARN_FILE
from vae_anomaly.words import names_of

logger = logging.getLogger(__name__)

PUT_STEPS: Final = ("pulled", "put", "ledger-put", "before-manifest-put", "manifest-put")
"""Every step of a run into a store, in order; ``put`` is passed for each few files."""
_NOTE: Final = ".put.json"
_BESIDE: Final = ("report.html", "summary.json", LEARN_FILE)
_PATIENCE: Final = 20.0
"""The ledger is put again when this many times of what that takes have passed."""


@dataclass(frozen=True)
class OutputPlace:
    """Where a run writes: a folder of this machine, and the address that it stands for, if any."""

    root: Path
    address: Address | None = None

    @contextmanager
    def opened(self, run: str) -> Iterator[Uploads]:
        """Make the folder what the store holds, and hold that for a run; nothing of a local one."""
        if self.address is None:
            yield Uploads()
            return
        store = Store(self.address)
        with leased(store, self.address.inside, run, str(self.root)) as lease:
            uploads = StoreUploads(self.root, store, lease)
            uploads.pull()
            reach("pulled")
            yield uploads

    def put_beside(self) -> None:
        """Put what is written when a run is over, such as its page; a fault of it ends nothing."""
        if self.address is None:
            return
        inside, files = self.address.inside, [self.root / name for name in _BESIDE]
        wanted = {f"{inside}/{path.name}": path for path in files if path.is_file()}
        try:
            for _ in Store(self.address).put(wanted):
                pass
        except VaeAnomalyError as err:
            logger.warning("%s lacks %s: %s", self.address, names_of(_BESIDE), err)


def place_to_look_at(out: str | Path) -> Path:
    """Return where an output folder can be read before a run, there or not; nothing is written.

    Raises as `output_place`.
    """
    place = output_place(out)
    return place.root if place.address is None else Path(on_disk(out, missing_ok=True))


def output_place(out: str | Path) -> OutputPlace:
    """Return where a run works that writes to a path or an address.

    Raises
    ------
    ConfigError
        If it is a pattern, or no address of a folder.
    """
    if not is_remote(out):
        if "://" in str(out) and path_of_file(out) is None:
            raise ConfigError(
                f"{out} is no folder to write to. Give a path, file:///PATH, or an object store "
                "such as s3://BUCKET/FOLDER."
            )
        return OutputPlace(Path(path_of_file(out) or out))
    address = address_of(out)
    if address.is_pattern or "/" not in address.inside:
        raise ConfigError(
            f"{address} is no folder to write to. Name one folder in a bucket, such as "
            f"{address.scheme}://{address.bucket}/night."
        )
    where = f"out-{sha256_of(store_name(address))[:8]}"
    return OutputPlace(
        copy_path(copies_folder() / "outputs" / where, address.scheme, address.inside), address
    )


class Uploads:
    """What a run tells of what it has done; for a folder of this machine that is enough."""

    def begin(self, ledger: Ledger) -> None:
        """Take away what is about to change: the manifest first, then what the ledger forgot."""

    def put_partition(self, files: Mapping[str, str], ledger: Ledger) -> None:
        """Put the files of a partition that is done, and the ledger now and then."""

    def commit(self, manifest: Mapping[str, Any], ledger: Ledger) -> None:
        """Remove what is left over, put what is missing, the ledger and, last, the manifest."""


@dataclass
class StoreUploads(Uploads):
    """What a store holds of an output folder, and how it comes there."""

    root: Path
    store: Store
    lease: HeldLease
    _there: dict[str, StoredObject] = field(default_factory=dict)
    _same: dict[str, tuple[str, str]] = field(default_factory=dict)  # digest and mark, by name
    _known: set[str] = field(default_factory=set)  # files that runs have put there
    _next_ledger: float = 0.0

    # -------------------------------------------------------------- before the run

    def pull(self) -> None:
        """Make the folder what the store holds."""
        self._there, self._same = self._listed(), self._noted()
        for name in (LEDGER, MANIFEST):
            self._pull_anew(name)
        if LEDGER in self._there:
            with Ledger(self.root / LEDGER) as ledger:
                self._pull(_files_of(ledger))

    def begin(self, ledger: Ledger) -> None:
        """Take away what is about to change: the manifest first, then what the ledger forgot."""
        if not (self.root / MANIFEST).is_file() and self._known:
            self._remove(self._known - _files_of(ledger).keys())
            self._put_ledger(ledger)

    def _pull_anew(self, name: str) -> None:
        for ending in ("", "-wal", "-shm"):
            (self.root / f"{name}{ending}").unlink(missing_ok=True)
        if name in self._there:
            self._fetch([name])

    def _pull(self, wanted: Mapping[str, str]) -> None:
        """Fetch the files of these digests that are not here; a wrong one is scored again."""
        self._known = set(wanted) | {name for name in self._there if is_model_path(name)}
        absent = [
            name
            for name in self._there.keys() & self._known
            if (digest := wanted.get(name)) is None or not self._is_here(name, digest)
        ]
        require_room(self.root, sum(self._there[n].size_bytes for n in absent), self.store.address)
        self._fetch(absent)
        for name in absent:
            self._same[name] = sha256_of(self.root / name), self._there[name].mark
        self._note()

    def _is_here(self, name: str, digest: str) -> bool:
        is_same = self._same.get(name) == (digest, self._there[name].mark)
        return is_same and (self.root / name).is_file()

    def _fetch(self, names: Sequence[str]) -> None:
        self.store.fetch(
            [self._there[name] for name in names], [self.root / name for name in names]
        )

    # -------------------------------------------------------------- during the run

    def put_partition(self, files: Mapping[str, str], ledger: Ledger) -> None:
        """Put the files of a partition that is done, and the ledger now and then."""
        self.lease.require()
        self._put(files)
        if time.monotonic() >= self._next_ledger:
            self._put_ledger(ledger)

    def commit(self, manifest: Mapping[str, Any], ledger: Ledger) -> None:
        """Remove what is left over, put what is missing, the ledger and, last, the manifest."""
        self.lease.require()
        listed = _files_of(ledger) | manifest["models"]
        self._remove(self._known - listed.keys())
        self._put({n: digest for n, digest in listed.items() if self._is_missing(n, digest)})
        self._put_ledger(ledger)
        reach("before-manifest-put")
        self.lease.require()
        self.store.write(self._inside(MANIFEST), (self.root / MANIFEST).read_bytes())
        reach("manifest-put")
        self._there = self._listed()
        both = listed.keys() & self._there.keys()
        self._same = {name: (listed[name], self._there[name].mark) for name in both}
        self._note()

    def _remove(self, names: Collection[str]) -> None:
        """Remove files that the manifest may list, which goes first."""
        for some in ([MANIFEST], sorted(names)) if names else ():
            gone = [name for name in some if self._there.pop(name, None) is not None]
            self.store.remove([self._inside(name) for name in gone])
        self._known = self._known - set(names)

    def _is_missing(self, name: str, digest: str) -> bool:
        """Tell whether the store lacks a file that is here, and is the one that is listed."""
        if name in self._there and self._same.get(name, ("",))[0] == digest:
            return False
        path = self.root / name
        return path.is_file() and sha256_of(path) == digest

    def _put(self, files: Mapping[str, str]) -> None:
        here = [name for name in files if (self.root / name).is_file()]
        for name in here:
            self._same.pop(name, None)
        last = [name for name in here if "/" not in name]  # the output, after what lies beside it
        for some in ([name for name in here if "/" in name], last):
            for _ in self.store.put({self._inside(name): self.root / name for name in some}):
                reach("put")
            self._there |= {name: StoredObject(self._inside(name), 0, "") for name in some}
            self._same |= {name: (files[name], "") for name in some}

    def _put_ledger(self, ledger: Ledger) -> None:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as folder:
            copy = Path(folder) / LEDGER
            ledger.copy_to(copy)
            for _ in self.store.put({self._inside(LEDGER): copy}):
                reach("ledger-put")
        ended = time.monotonic()
        self._next_ledger = ended + _PATIENCE * (ended - begun)

    # -------------------------------------------------------------- what is known of the store

    def _listed(self) -> dict[str, StoredObject]:
        start = f"{self.store.address.inside}/"
        found = self.store.find(self.store.address.inside)
        return {one.name.removeprefix(start): one for one in found if one.name.startswith(start)}

    def _inside(self, name: str) -> str:
        return f"{self.store.address.inside}/{name}"

    def _noted(self) -> dict[str, tuple[str, str]]:
        try:
            note = json.loads((self.root / _NOTE).read_text(encoding="utf-8"))
            return {str(name): (str(digest), str(mark)) for name, (digest, mark) in note.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _note(self) -> None:
        write_json(self._same, self.root / _NOTE)


def _files_of(ledger: Ledger) -> dict[str, str]:
    """Return the SHA-256 of every file that a ledger lists."""
    return {name: one for row in ledger.rows().values() for name, one in row.files.items()}
