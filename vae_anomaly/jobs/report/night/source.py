"""A night in an output folder: which partitions it has, by which model, and when."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vae_anomaly.batch.output.manifest import (
    MANIFEST,
    MAX_BAD_FRACTION,
    night_keys,
    read_manifest,
)
from vae_anomaly.batch.output.written import LEDGER
from vae_anomaly.batch.review import read_review, read_scoring_facts
from vae_anomaly.errors import DataError
from vae_anomaly.reports.facts.items import ReviewItem
from vae_anomaly.reports.facts.night import ScoringFacts


@dataclass(frozen=True)
class Night:
    """Partitions that one run scored together.

    Parameters
    ----------
    root : Path
        The output folder.
    entries : tuple of dict
        Of its partitions, as the manifest has them.
    failed : dict of str to str
        Partitions that could not be scored, and why.
    others : tuple of dict
        Partitions of the folder that belong to other nights.
    scoring : ScoringFacts
        Of the model; without held-out normals where an earlier version scored.
    left_out : tuple of dict
        Images below the input that are none of parts, by kind.
    max_bad_fraction : float
        Share in quarantine that the last run still took for a success.
    """

    root: Path
    entries: tuple[dict[str, Any], ...]
    failed: dict[str, str]
    others: tuple[dict[str, Any], ...]
    scoring: ScoringFacts
    left_out: tuple[dict[str, Any], ...] = ()
    max_bad_fraction: float = MAX_BAD_FRACTION

    @property
    def name(self) -> str:
        """What to call it: the folder."""
        return self.root.resolve().name or str(self.root)

    @property
    def parts(self) -> str:
        """What to call it in a folder of several: its folders of images, or its tables."""
        names = list(dict.fromkeys(map(_part_name, self.entries)))
        return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"

    def count(self, what: str) -> int:
        """Return the sum of ``rows_in``, ``rows_out``, ``rows_flagged`` or ``rows_quarantined``."""
        return sum(int(entry[what]) for entry in self.entries)

    @property
    def threshold(self) -> float:
        """Flag when the score is above."""
        return float(self.scoring.threshold["value"])

    @property
    def has_items(self) -> bool:
        """Whether the run kept items for reviewers; earlier versions did not."""
        kept = any(name.startswith("review/") for e in self.entries for name in e["files"])
        return kept or not self.count("rows_out")

    def items(self) -> list[ReviewItem]:
        """Return what was kept for reviewers, the highest score first."""
        paths = self._ledger("input_path")
        kept = [
            _from_table(item, str(paths.get(entry["key"], "")))
            for entry in self.entries
            for item in read_review(self.root, entry)
        ]
        return sorted(kept, key=lambda item: (-item.score, item.id))

    def scored_at(self) -> str:
        """Return when the last partition was done, ISO and UTC; empty where nothing tells it."""
        times = self.done_at().values()
        return max(times).isoformat(timespec="seconds") if times else ""

    def done_at(self) -> dict[str, datetime]:
        """Return when each partition was done, UTC, by its key; none where nothing tells it."""
        done = self._ledger("committed")
        try:
            return {key: datetime.fromtimestamp(float(when), UTC) for key, when in done.items()}
        except (ValueError, TypeError, OverflowError, OSError):  # no run has written that
            return {}

    def _ledger(self, column: Literal["committed", "input_path"]) -> dict[str, Any]:
        """Return what the ledger alone knows of each partition, by its key."""
        keys = {entry["key"] for entry in self.entries}
        try:
            address = (
                f"{(self.root / LEDGER).resolve().as_uri()}?immutable=1"  # leaves nothing beside it
            )
            with closing(sqlite3.connect(address, uri=True)) as database:
                rows = database.execute(f"SELECT key, {column} FROM partitions").fetchall()  # noqa: S608 - a name of ours
        except sqlite3.Error:
            return {}
        return {str(key): value for key, value in rows if key in keys}


def _from_table(item: ReviewItem, path: str) -> ReviewItem:
    """Return a row with the path of its table, which no output of a run holds."""
    return item if item.row is None else replace(item, row=replace(item.row, source=path))


def nights_of(root: Path, *, verify: bool = True) -> list[Night]:
    """Return the nights of an output folder in the order of their runs, at least one.

    Parameters
    ----------
    verify : bool
        Check the SHA-256 of every file.

    Raises
    ------
    DataError
        If the run was not finished, nothing was scored, or a file was changed since.
    """
    manifest = read_manifest(root, verify=verify)
    known = {entry["key"]: entry for entry in manifest["partitions"]}
    models = read_scoring_facts(root, manifest)
    failed = dict(manifest.get("failed", {}))
    nights = [
        _night(root, manifest, [known[key] for key in keys if key in known], models)
        for keys in night_keys(manifest)
        if any(key in known for key in keys)
    ]
    if not nights:
        reasons = "; ".join(failed.values()) or "its manifest lists no partition"
        raise DataError(f"Nothing in {root} was scored: {reasons}. Score an input again.")
    return [*nights[:-1], replace(nights[-1], failed=failed)]  # those of the last run


def _night(
    root: Path,
    manifest: Mapping[str, Any],
    entries: list[dict[str, Any]],
    models: Mapping[str, ScoringFacts],
) -> Night:
    own = {entry["key"] for entry in entries}
    others = tuple(entry for entry in manifest["partitions"] if entry["key"] not in own)
    last = entries[-1]
    scoring = models.get(str(last["model_digest"])) or _known_of(last)
    left_out = tuple(manifest.get("left_out", ()))
    most_bad = float(manifest.get("max_bad_fraction", MAX_BAD_FRACTION))
    return Night(root, tuple(entries), {}, others, scoring, left_out, most_bad)


def _part_name(entry: Mapping[str, Any]) -> str:
    """Return what people call a partition: a table by its key, images by their folder."""
    folder = entry.get("folder") if entry["kind"] == "images" else None
    return str(folder or entry["key"])


def _known_of(entry: Mapping[str, Any]) -> ScoringFacts:
    """Return what the manifest tells of a model, where an earlier version scored."""
    kind: Literal["tabular", "image"] = "tabular" if entry["kind"] == "table" else "image"
    threshold = {"value": float(entry["threshold"])}
    version, digest = str(entry["model_version"]), str(entry["model_digest"])
    return ScoringFacts(version, digest, kind, threshold, (), 0)


def is_output(folder: Path) -> bool:
    """Tell whether a folder is, or will be, that of a scoring run."""
    return (folder / MANIFEST).is_file() or (folder / LEDGER).is_file()
