"""Find output folders, and say how far each is: nothing is written to them, nor made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from vae_anomaly.batch.output.ledger import Ledger, LedgerRow, RunRow
from vae_anomaly.batch.output.manifest import MANIFEST, read_manifest
from vae_anomaly.batch.output.written import HOLDER, LEDGER, refuse_links
from vae_anomaly.batch.runs.command import RunCommand
from vae_anomaly.errors import DataError, StorageError, VaeAnomalyError
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import number_of

RunState = Literal["complete", "failed", "unfinished", "running", "damaged"]
_LOCK = ".lock"


@dataclass(frozen=True)
class FoundRun:
    """An output folder as it is now.

    Parameters
    ----------
    path : Path
    state : {"complete", "failed", "unfinished", "running", "damaged"}
        "failed" lacks parts of its input, "unfinished" was stopped, "damaged" cannot be read.
    why : str
        What is not right; empty of a complete one.
    rows : tuple of LedgerRow
        The partitions that are done, by key.
    failed : dict of str to str
        Why parts of the last input could not be scored, by key.
    runs : tuple of RunRow
        Those that are remembered, the last one last.
    repeated_ids : dict of str to int
        By partition the rows whose id an earlier file of the last run has as well.
    """

    path: Path
    state: RunState
    why: str = ""
    rows: tuple[LedgerRow, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    runs: tuple[RunRow, ...] = ()
    repeated_ids: dict[str, int] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        """The versions that scored, in order of their last part."""
        last = {row.model_version: row.committed for row in self.rows}
        return tuple(sorted(last, key=lambda name: (last[name], name)))

    @property
    def codes(self) -> dict[str, int]:
        """Items in quarantine by reason, the most frequent first."""
        counts: dict[str, int] = {}
        for row in self.rows:
            for code, n in row.codes.items():
                counts[code] = counts.get(code, 0) + n
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def command(self) -> RunCommand | None:
        """What the last run was asked for; None of earlier versions.

        A StorageError where the ledger holds what no run has written.
        """
        if not self.runs:
            return None
        try:
            return RunCommand.read(self.runs[-1].command)
        except (ValueError, TypeError, AttributeError, RecursionError) as err:
            raise StorageError(
                f"The ledger of {self.path} holds a command that no run was asked for: {err} "
                "Give the whole command again."
            ) from None

    def count(self, what: str) -> int:
        """Return the sum of a count over all partitions: ``rows_in``, ``rows_flagged``, ..."""
        return sum(int(getattr(row, what)) for row in self.rows)

    @property
    def place(self) -> str:
        """The folder, of one in an object store its address."""
        return with_addresses(str(self.path))

    def changed(self) -> float | None:
        """Return when a run last began, ended or finished a part, in seconds since 1970."""
        times = [row.committed for row in self.rows]
        times += [when for run in self.runs for when in (run.started, run.ended) if when]
        return max(times, default=None)


def find_runs(roots: Iterable[str | Path]) -> Iterator[FoundRun]:
    """Yield the output folders that some folders are or hold, by their names.

    What lies within an output folder is not looked at.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    for root in (Path(on_disk(one)) for one in roots):
        if not root.is_dir():
            raise DataError(f"{root} is no folder. Give folders that hold results of `score`.")
        for folder, inner, names in os.walk(root):
            inner.sort()
            if {MANIFEST, LEDGER}.intersection(names) and is_scored_folder(Path(folder)):
                inner.clear()
                yield read_state(folder)


def is_scored_folder(folder: Path) -> bool:
    """Tell an output folder of `score` by what lies in it: many things are called manifest."""
    if (folder / LEDGER).is_file():
        return True
    try:
        return '"partitions"' in (folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def read_state(path: str | Path) -> FoundRun:
    """Say how far an output folder is.

    Raises
    ------
    DataError
        If there is none.
    """
    root = Path(on_disk(path))
    if not is_scored_folder(root):
        raise DataError(f"{root} holds no results of `vae-anomaly score`. Check the path.")
    try:
        refuse_links(root)
        rows, runs = _of_ledger(root)
        manifest = _of_manifest(root)
    except VaeAnomalyError as err:
        return FoundRun(root, "running" if is_running(root) else "damaged", str(err))
    if manifest is None:
        failed, repeats = {}, {}
    else:
        failed, repeats = dict(manifest.get("failed", {})), manifest.get("repeated_ids", {})
    state, why = _state(root, manifest, rows, runs, failed)
    return FoundRun(root, state, why, tuple(rows), failed, tuple(runs), repeats)


def is_running(root: Path) -> bool:
    """Tell whether a run holds the folder: it has left its name, and the lock is taken."""
    if not (root / HOLDER).is_file():
        return False
    with suppress(OSError):
        lock = FileLock(root / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False


def _of_ledger(root: Path) -> tuple[list[LedgerRow], list[RunRow]]:
    if not (root / LEDGER).is_file():
        return [], []
    with Ledger(root / LEDGER, reads_only=True) as ledger:
        return list(ledger.rows().values()), ledger.runs()


def _of_manifest(root: Path) -> dict[str, Any] | None:
    return read_manifest(root, verify=False) if (root / MANIFEST).is_file() else None


def _state(
    root: Path,
    manifest: Mapping[str, Any] | None,
    rows: list[LedgerRow],
    runs: list[RunRow],
    failed: Mapping[str, str],
) -> tuple[RunState, str]:
    if is_running(root):
        return "running", "a run is writing to it"
    if manifest is None:
        return "unfinished", "no manifest.json: the run was stopped before its end"
    if runs and runs[-1].ended is None:
        return "unfinished", "the last run was stopped before its end"
    listed = {entry["key"]: entry["files"] for entry in manifest["partitions"]}
    if (root / LEDGER).is_file() and listed != {row.key: row.files for row in rows}:
        return "unfinished", "ledger.sqlite and manifest.json differ: a run was stopped"
    if failed:
        return "failed", f"{number_of(len(failed), 'part')} could not be scored"
    return "complete", ""
