"""Hold an output folder against what its run has promised: every file, count, score and id."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.arrays import AnyArray, Bools
from vae_anomaly.batch.duplicate_ids import find_repeats
from vae_anomaly.batch.output.manifest import MANIFEST, read_manifest
from vae_anomaly.batch.output.results import iter_quarantine
from vae_anomaly.batch.output.written import FOLDERS, quarantine_path
from vae_anomaly.batch.runs.found import FoundRun, read_state
from vae_anomaly.errors import DataError, LockedError
from vae_anomaly.files import sha256_of
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.thresholds.basis import surprise_of
from vae_anomaly.words import names_of, number_of, reason_of, verb_for

_BATCH_ROWS: Final = 65_536
_COLUMNS: Final = ("id", "score", "is_anomaly", "threshold")
_LEARNED: Final = ("flagged_by", "p_combined", "probability")
_DIGITS, _FEW_DIGITS = 1e-6, 20.0  # nats; of a probability near 1 few digits are left
_KEPT: Final = "state/start-"  # histories from elsewhere, also of an earlier model
AGAIN: Final = "Run again: what is not right is then scored again."


@dataclass(frozen=True)
class BrokenPromise:
    """Something that is not as the run has promised.

    Parameters
    ----------
    where : str
        File or partition.
    what : str
        What is wrong.
    remedy : str
    is_io : bool
        Whether the disk, or who may read it, is at fault.
    """

    where: str
    what: str
    remedy: str = AGAIN
    is_io: bool = False


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is not right.

    Parameters
    ----------
    path : Path
    findings : tuple of BrokenPromise
    notes : tuple of str
        What its owner should know, and is no fault of a run.
    files, rows : int
        Files that were hashed, and rows or images that were counted.
    """

    path: Path
    findings: tuple[BrokenPromise, ...]
    notes: tuple[str, ...] = ()
    files: int = 0
    rows: int = 0

    @property
    def place(self) -> str:
        """The folder, of one in an object store its address."""
        return with_addresses(str(self.path))


@dataclass
class _Look:
    """What one look at a folder gathers."""

    root: Path
    findings: list[BrokenPromise] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    rows: int = 0

    def find(self, where: str, what: str, remedy: str = AGAIN) -> None:
        self.findings.append(BrokenPromise(where, what, remedy))


def verify_run(path: str | Path, *, allow_failed: bool = False) -> Verified:
    """Check that an output folder is whole, and that all its figures agree.

    Looked at are the SHA-256 of every listed file; rows in = rows out + quarantined; the rows, ids,
    scores and flags of each part; the lines of each quarantine; the ledger; and whether files lie
    there that nothing lists. Nothing is written.

    Parameters
    ----------
    path : str or Path
        An output folder.
    allow_failed : bool
        Take parts of the input that could not be scored for no fault.

    Raises
    ------
    DataError
        If there is no output folder.
    LockedError
        If a run is writing to it.
    """
    found = read_state(path)
    if found.state == "running":
        raise LockedError(f"A run is writing to {found.path}. Wait for it, then verify.")
    look = _Look(found.path)
    manifest = _manifest(look, found)
    if manifest is not None:
        _check_ledger(look, found, allow_failed=allow_failed)
        for entry in manifest["partitions"]:
            _check_partition(look, entry)
        _check_files(look, "its models", manifest.get("models", {}))
        _check_totals(look, manifest)
        _check_unlisted(look, manifest)
        _note_repeats(look, manifest)
    return Verified(found.path, tuple(look.findings), tuple(look.notes), look.files, look.rows)


def _manifest(look: _Look, found: FoundRun) -> dict[str, Any] | None:
    """Return the manifest, if it can be followed."""
    if found.state == "damaged":
        look.find(found.place, found.why, "")
        return None
    try:
        return read_manifest(found.path, verify=False)
    except DataError as err:
        look.find(MANIFEST, str(err), "")
        return None


def _check_ledger(look: _Look, found: FoundRun, *, allow_failed: bool) -> None:
    if found.state == "unfinished":
        look.find(found.place, found.why)
    for key, reason in {} if allow_failed else found.failed.items():
        look.find(key, f"it could not be scored: {reason_of(reason)}", "Mend it, and run again.")
    if not found.rows:
        look.notes.append("There is no ledger.sqlite, so the next run scores everything again.")


def _check_files(look: _Look, of: str, files: Mapping[str, str]) -> None:
    """Compare the SHA-256 of files with those that are listed."""
    for name, digest in files.items():
        try:
            actual = sha256_of(look.root / name)
        except FileNotFoundError:
            look.find(name, f"it is missing; {of} lists it")
        except OSError as err:
            look.findings.append(
                BrokenPromise(
                    name, f"it cannot be read: {err.strerror}", "Look at the disk.", is_io=True
                )
            )
        else:
            look.files += 1
            if actual != digest:
                look.find(name, "it is not the file that was written: its SHA-256 differs")


def _check_partition(look: _Look, entry: Mapping[str, Any]) -> None:
    before = len(look.findings)
    _check_files(look, MANIFEST, entry["files"])
    n_out, n_bad = entry["rows_out"], entry["rows_quarantined"]
    if entry["rows_in"] != n_out + n_bad or sum(entry["codes"].values()) != n_bad:
        look.find(entry["key"], f"{entry['rows_in']} rows in are not {n_out} out and {n_bad} bad")
    look.rows += entry["rows_in"]
    if len(look.findings) == before:  # else its file is not what was written
        _check_part(look, entry)
        _check_quarantine(look, entry)


def _check_part(look: _Look, entry: Mapping[str, Any]) -> None:
    """Compare the rows of a part with its entry: how many, which ids, scores and flags."""
    name = str(entry["output"])
    n_rows = n_flagged = n_wrong = 0
    try:
        for batch in _batches(look.root / name, _columns_of(look.root / name)):
            n_rows += len(batch)
            n_flagged += int(_cells(batch, "is_anomaly").sum())
            n_wrong += int(_wrong_flags(batch).sum())
        repeats = _repeats(look.root / name)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as err:
        look.find(name, f"it is no part that a run writes: {reason_of(err)}")
        return
    if (n_rows, n_flagged) != (entry["rows_out"], entry["rows_flagged"]):
        look.find(
            name,
            f"it holds {number_of(n_rows, 'row')}, {n_flagged} of them flagged; listed are "
            f"{entry['rows_out']} and {entry['rows_flagged']}",
        )
    if n_wrong:
        look.find(name, f"{number_of(n_wrong, 'row')} {verb_for(n_wrong)} flagged otherwise than "
                  "score and threshold say, or not finite")  # fmt: skip
    if repeats:
        look.find(name, f"{number_of(repeats, 'id')} {verb_for(repeats)} in it more than once")


def _columns_of(part: Path) -> tuple[str, ...]:
    """Return what flags are checked by: of a run that learns more."""
    with part.open("rb") as file:
        names = pq.read_schema(file).names
    return (*_COLUMNS, *(name for name in _LEARNED if name in names))


def _wrong_flags(batch: pa.RecordBatch) -> Bools:
    """Say which rows are not flagged as their scores say, or have none."""
    score, flag, threshold = (_cells(batch, name) for name in _COLUMNS[1:])
    bounded, unsure = score, np.zeros(len(batch), np.bool_)
    if _LEARNED[0] in batch.schema.names:
        by = _cells(batch, _LEARNED[0])
        surprise = surprise_of(_cells(batch, "probability").astype(np.float64))
        bounded = np.where(by == "p_combined", -np.log10(_cells(batch, "p_combined")), score)
        bounded = np.where(by == "probability", surprise, bounded)
        near = (np.abs(surprise - threshold) < _DIGITS) | (surprise > _FEW_DIGITS)
        unsure = (by == "probability") & near
    return np.asarray(~np.isfinite(score) | ((flag != ~(bounded <= threshold)) & ~unsure))


def _cells(batch: pa.RecordBatch, name: str) -> AnyArray:
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=False))


def _check_quarantine(look: _Look, entry: Mapping[str, Any]) -> None:
    name = quarantine_path(str(entry["key"]))
    codes: Counter[str] = Counter()
    if name in entry["files"]:
        try:
            codes.update(item.code for item in iter_quarantine(look.root / name))
        except DataError as err:
            look.find(name, str(err), "")
            return
    if dict(codes) != {code: n for code, n in entry["codes"].items() if n}:
        look.find(name, f"it holds {number_of(codes.total(), 'item')}; listed are "
                  f"{sum(entry['codes'].values())}, by reason")  # fmt: skip


def _check_totals(look: _Look, manifest: Mapping[str, Any]) -> None:
    for name, total in manifest.get("totals", {}).items():
        if name != "partitions" and total != sum(one[name] for one in manifest["partitions"]):
            look.find(MANIFEST, f"the total {name} is {total}, which its partitions do not give")


def _check_unlisted(look: _Look, manifest: Mapping[str, Any]) -> None:
    """Find files where only runs write that no partition lists."""
    listed = {name for entry in manifest["partitions"] for name in entry["files"]}
    listed |= manifest.get("models", {}).keys()
    others = _files_below(look.root) - listed
    for name in sorted(name for name in others if not name.startswith(_KEPT)):
        look.find(name, f"nothing in {MANIFEST} lists it",
                  "Remove it; whoever reads the folder by patterns would read it too.")  # fmt: skip


def _files_below(root: Path) -> set[str]:
    """Return the files in places where only runs write."""
    found = {path.name for path in root.glob("part-*")} | {
        path.name for path in root.glob(".*.partial")
    }
    for folder in FOLDERS:
        for where, _, names in os.walk(root / folder):
            below = Path(where).relative_to(root).as_posix()
            found |= {f"{below}/{name}" for name in names}
    return found


def _note_repeats(look: _Look, manifest: Mapping[str, Any]) -> None:
    repeats = manifest.get("repeated_ids", {})
    if repeats:
        n_rows = sum(repeats.values())
        look.notes.append(
            f"{number_of(n_rows, 'row')} in {names_of(repeats, 3)} {verb_for(n_rows)} called as a "
            "row of an earlier file: it counts twice for who adds them up."
        )


def _repeats(part: Path) -> int:
    """Return how many rows of a part have the id of an earlier one."""
    ids = (batch.column(0).to_pylist() for batch in _batches(part, ("id",)))
    with find_repeats(ids, Path(tempfile.gettempdir())) as repeated:
        return int(repeated.sum())


def _batches(part: Path, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    with part.open("rb") as file:  # Arrow opens no name that is not UTF-8
        for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=[*columns]):
            yield batch.select(list(columns))
