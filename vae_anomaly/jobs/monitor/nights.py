"""The last nights of output folders: what each gave and what had moved, the oldest first."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from vae_anomaly.batch.drift.night import drift_of, fresh_keys
from vae_anomaly.batch.drift.summary_file import SUMMARY, CheckRecord, read_summary
from vae_anomaly.batch.output.manifest import MANIFEST, night_keys, read_manifest
from vae_anomaly.batch.runs.found import is_scored_folder
from vae_anomaly.errors import DataError
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.monitoring.checks import Check, Limits, texts_of
from vae_anomaly.monitoring.statistics import flag_range
from vae_anomaly.storage.copies import on_disk
from vae_anomaly.words import number_of

LAST: Final = 30
_NIGHTS: Final = 0.99


@dataclass(frozen=True)
class WatchedNight:
    """One night.

    Parameters
    ----------
    name : str
        The folder; of several nights in one, what was new.
    folder : Path
    model : str
        The version that scored.
    items_read, items_flagged : int
    flag_rate, quarantine_rate : Interval
    normal_rate : tuple of (float, float), optional
        Shares of flags that 99 % of nights of normal items alone have.
    checks : tuple of Check
    notes : tuple of str
    finished_at : str, optional
        ISO 8601, UTC; of the last night of a folder.
    data_until : str, optional
    age_days : float, optional
    parts_failed : int
    quarantine_codes : dict of str to int
    """

    name: str
    folder: Path
    model: str
    items_read: int
    items_flagged: int
    flag_rate: Interval
    quarantine_rate: Interval
    normal_rate: tuple[float, float] | None
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    finished_at: str | None = None
    data_until: str | None = None
    age_days: float | None = None
    parts_failed: int = 0
    quarantine_codes: Mapping[str, int] | None = None

    @property
    def alarms(self) -> tuple[str, ...]:
        """What is unlike the training, in words."""
        return texts_of(self.checks, "alarm")

    @property
    def moved(self) -> tuple[str, ...]:
        """What has moved less than that."""
        return texts_of(self.checks, "moved")


def last_nights(
    roots: Iterable[str | Path], *, last: int = LAST, limits: Limits | None = None
) -> list[WatchedNight]:
    """Read the last nights of output folders, or of all below a folder.

    Parameters
    ----------
    roots : iterable of str or Path
        Output folders of `score`, or folders that hold some.
    last : int
        How many nights.
    limits : Limits, optional
        What is an alarm; by default what each run took for one, where its summary says so.

    Raises
    ------
    DataError
        If there is no night, or a folder is damaged or not finished.
    """
    given = [Path(on_disk(root)) for root in roots]
    folders = [folder for root in given for folder in _folders(root)]
    if not folders:
        named = ", ".join(map(str, roots)) or "no folder"
        raise DataError(f"No results of `vae-anomaly score` in {named}. Give its output folders.")
    nights = [night for folder in folders for night in _nights(folder, last, limits)]
    order = sorted(range(len(nights)), key=lambda i: (_when(nights[i]), i))
    return [nights[i] for i in order[-last:]]


def _folders(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        raise DataError(f"{root} is no folder. Give folders that hold results of `score`.")
    for folder, inner, names in os.walk(root):
        inner.sort()
        if MANIFEST in names and is_scored_folder(Path(folder)):
            inner.clear()
            yield Path(folder)


def _when(night: WatchedNight) -> str:
    """Return by what nights are ordered: the time of the data, else that of the run."""
    return night.data_until or night.finished_at or ""


def _nights(folder: Path, last: int, limits: Limits | None) -> Iterator[WatchedNight]:
    """Yield the nights of one folder, each with what was new to it."""
    manifest = read_manifest(folder, verify=False)
    fresh = list(fresh_keys(night_keys(manifest)))
    for number, (keys, past) in list(enumerate(fresh))[-last:]:
        name = folder.name if len(fresh) == 1 else f"{folder.name}/{_told(keys)}"
        night = _of_files(folder, name, manifest, keys, limits or Limits(), past)
        is_last = number == len(fresh) - 1
        yield _as_told(night) if is_last and limits is None and _has_summary(folder) else night


def _told(keys: Sequence[str]) -> str:
    return keys[-1] if len(keys) == 1 else f"{keys[-1]} and {number_of(len(keys) - 1, 'part')} more"


def _has_summary(folder: Path) -> bool:
    return (folder / SUMMARY).exists()


def _of_files(
    folder: Path,
    name: str,
    manifest: Mapping[str, Any],
    keys: Sequence[str],
    limits: Limits,
    past: Collection[str],
) -> WatchedNight:
    """Put a night together from the manifest and the counts of its parts."""
    own = [entry for entry in manifest["partitions"] if entry["key"] in set(keys)]
    read, scored, flagged, quarantined = (
        sum(int(entry[what]) for entry in own)
        for what in ("rows_in", "rows_out", "rows_flagged", "rows_quarantined")
    )
    codes: dict[str, int] = {}
    for entry in own:
        for code, n in entry["codes"].items():
            codes[code] = codes.get(code, 0) + int(n)
    drift = drift_of(folder, manifest, keys, limits, past)
    counted, n = drift.calibration, drift.tally.whole.n
    usual = flag_range(n, counted.above, counted.worth, _NIGHTS) if counted and n else None
    return WatchedNight(
        name=name,
        folder=folder,
        model=str(own[-1]["model_version"]) if own else "",
        items_read=read,
        items_flagged=flagged,
        flag_rate=proportion_interval(flagged, scored),
        quarantine_rate=proportion_interval(quarantined, read),
        normal_rate=None if usual is None else (usual[0] / n, usual[1] / n),
        checks=drift.checks,
        notes=drift.notes,
        data_until=drift.data_until,
        age_days=drift.age_days,
        parts_failed=len(manifest.get("failed", {})),
        quarantine_codes=codes,
    )


def _as_told(night: WatchedNight) -> WatchedNight:
    """Return the last night of a folder as its run has judged it."""
    summary = read_summary(night.folder)
    return replace(
        night,
        checks=tuple(_check(record) for record in summary.checks),
        notes=tuple(summary.notes),
        finished_at=summary.times.finished_at,
        age_days=summary.model_age_days,
    )


def _check(record: CheckRecord) -> Check:
    return Check(**record.model_dump())
