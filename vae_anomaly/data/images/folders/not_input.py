"""Tell what is no input below a folder of images: our own results, and what systems keep there.

Results are known by what they hold, not by their names: a folder of scores by its ledger or
manifest, a store by its database, a figure, heatmap, mask or card by the mark in its head.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from vae_anomaly.data.images.folders.items import IMAGE_SUFFIXES, LeftOutImages
from vae_anomaly.data.images.marked import head_of, was_drawn
from vae_anomaly.files import parsed_json

RESULTS: Final = "results of vae-anomaly"
SYSTEM: Final = "in system folders and recycle bins"
HIDDEN: Final = "hidden"

_SYSTEM_FOLDERS: Final = frozenset(
    {
        "#recycle", "#snapshot", "$recycle.bin", "recycler", "recycled", "@eadir", "@recycle",
        "@recently-snapshot", "@tmp", "__macosx", "system volume information", "lost+found",
        "found.000", "network trash folder", "temporary items",
    }
)  # fmt: skip
_RECORDS: Final = ("manifest.json", "summary.json")
_DRAWN: Final = (
    "heatmaps",
    "learn",
    "masks",
    "quarantine",
    "review",
    "state",
    "tally",
)  # beside scores
_LEDGER_BYTES: Final = 1 << 16


def is_system_folder(name: str) -> bool:
    """Tell a recycle bin, a cache of thumbnails or a snapshot of a system by its name."""
    return name.casefold() in _SYSTEM_FOLDERS


def without_results(
    root: Path, files: Sequence[Path], out: Path | None = None
) -> tuple[list[Path], list[LeftOutImages]]:
    """Take out what we have written below a folder.

    Parameters
    ----------
    files : sequence of Path
        All below the root.
    out : Path, optional
        Where the command that asks writes. What it drew there is not even counted: how much that
        is depends on how often it was run.

    Returns
    -------
    files : list of Path
    left_out : list of LeftOutImages
        Images that we have drawn, by folder.
    """
    sort = _Sorter(root, None if out is None else out.resolve())
    kept: list[Path] = []
    ours: Counter[str] = Counter()
    for file in files:
        folder = sort.result_folder(file.parent)
        if folder is None and file.suffix.lower() == ".png" and was_drawn(file):
            folder = file.parent
        if folder is None and not sort.is_record(file):
            kept.append(file)
        elif (
            folder is not None
            and file.suffix.lower() in IMAGE_SUFFIXES
            and not sort.is_own(file.parent)
        ):
            ours[_below(root, folder)] += 1
    return kept, [LeftOutImages(RESULTS, where, n) for where, n in sorted(ours.items())]


def count_passed_by(root: Path, passed: Iterable[Path]) -> list[LeftOutImages]:
    """Count the images in what a walk did not enter: system folders, and hidden ones and files."""
    found: Counter[tuple[str, str]] = Counter()
    for path in passed:
        reason = HIDDEN if path.name.startswith(".") else SYSTEM
        if path.is_dir() and not path.is_symlink():
            found[reason, _below(root, path)] += sum(
                Path(name).suffix.lower() in IMAGE_SUFFIXES
                for _, _, names in os.walk(path)
                for name in names
            )
        else:
            found[reason, _below(root, path.parent)] += path.suffix.lower() in IMAGE_SUFFIXES
    return [LeftOutImages(reason, where, n) for (reason, where), n in sorted(found.items()) if n]


class _Sorter:
    """Tells in which folder of results a folder lies; each is looked at once."""

    def __init__(self, root: Path, out: Path | None) -> None:
        self._root, self._out = root, out
        self._known: dict[Path, Path | None] = {root: None}
        self._records: dict[Path, bool] = {}

    def result_folder(self, folder: Path) -> Path | None:
        """Return the folder of results or store that a folder lies in; None if in none."""
        if folder not in self._known:
            above = self.result_folder(folder.parent)
            self._known[folder] = above or self._holder(folder)
        return self._known[folder]

    def _holder(self, folder: Path) -> Path | None:
        """Return whose results a folder that lies in none holds."""
        holder = folder.parent
        if folder.name in _DRAWN and (self._is_out(holder) or _holds_scores(holder)):
            return holder
        return holder if folder.name == "artifacts" and _is_store(holder) else None

    def _is_out(self, folder: Path) -> bool:
        return self._out is not None and folder.resolve() == self._out

    def is_record(self, file: Path) -> bool:
        """Tell the table, ledger and manifest of a scoring, which are no images either."""
        name = file.name
        if file.suffix.lower() in IMAGE_SUFFIXES or not (
            name.startswith(("ledger.sqlite", "part-")) or name in _RECORDS
        ):
            return False
        folder = file.parent
        if folder not in self._records:
            self._records[folder] = self._is_out(folder) or _holds_scores(folder)
        return self._records[folder]

    def is_own(self, folder: Path) -> bool:
        """Tell whether a folder is where the command that asks draws."""
        if self._out is None:
            return False
        drawn = [self._out / name for name in _DRAWN]
        return any(folder.resolve().is_relative_to(place) for place in drawn)


def _holds_scores(folder: Path) -> bool:
    """Tell the output folder of a scoring by its ledger or its manifest."""
    ledger = head_of(folder / "ledger.sqlite", _LEDGER_BYTES)
    ledger += head_of(folder / "ledger.sqlite-wal", _LEDGER_BYTES)
    if b"rows_quarantined" in ledger:
        return True
    try:
        manifest = parsed_json((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and {"partitions", "totals"} <= manifest.keys()


def _is_store(folder: Path) -> bool:
    return head_of(folder / "mlflow.db", 16).startswith(b"SQLite format 3")


def _below(root: Path, folder: Path) -> str:
    below = folder.relative_to(root).as_posix()
    return "" if below == "." else below
