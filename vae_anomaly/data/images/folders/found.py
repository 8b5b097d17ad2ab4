"""Find the files that a manifest names, however Windows, macOS or a person wrote them."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from vae_anomaly.errors import DataError
from vae_anomaly.files import lies_outside
from vae_anomaly.names import alike, unspelled


@dataclass(frozen=True)
class FoundFile:
    """Where a file is, or would be, and whether the disk has it in other letters."""

    path: Path
    is_there: bool = True
    otherwise: bool = False


@dataclass(frozen=True)
class Names:
    """Look for files below a folder.

    A name that is not there is looked for with slashes for backslashes, without blanks at its ends,
    then in any case and with accents in one piece or apart. One file that fits is taken; where
    several fit none is.
    """

    root: Path
    follow_links: bool = False
    _real: dict[Path, str] = field(default_factory=dict, compare=False)
    _folders: dict[Path, dict[str, list[str]]] = field(default_factory=dict, compare=False)

    def find(self, written: str, where: str) -> FoundFile:
        """Return the file that is meant.

        ``where`` it is written begins the `DataError` that refuses a folder, and every way out.
        """
        for text in dict.fromkeys((written, written.strip(), unspelled(written))):
            exact = self._below(text)
            if exact is not None and os.path.lexists(exact):
                return self._checked(FoundFile(exact), written, where)
        below = self._below(written.strip().replace("\\", "/"))
        if below is None or _leaves(written):
            raise DataError(
                f"{where}: {written!r} is absolute or leads out of the manifest's folder. "
                "Write paths relative to the manifest, below its folder."
            )
        if os.path.lexists(below):
            return self._checked(FoundFile(below), written, where)
        near = self._alike(below)
        if near is None:
            return FoundFile(below, is_there=False)
        return self._checked(FoundFile(near, otherwise=True), written, where)

    def _below(self, text: str) -> Path | None:
        """Return the path that a text names below the root, None where it leads elsewhere."""
        pure = PurePosixPath(text)
        if "\0" in text or ".." in pure.parts:
            return None
        if pure.is_absolute():
            top = os.path.abspath(self.root)  # noqa: PTH100 - links stay links
            return self.root / pure.relative_to(top) if pure.is_relative_to(top) else None
        return self.root / pure

    def _alike(self, path: Path) -> Path | None:
        """Return the one path that differs in case, accents or blanks only."""
        here = self.root
        for part in path.relative_to(self.root).parts:
            names = self._in(here).get(alike(part), [])
            if len(names) != 1:
                return None
            here /= names[0]
        return here

    def _in(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._folders:
            names: dict[str, list[str]] = defaultdict(list)
            if folder.is_dir():
                for entry in sorted(os.listdir(folder)):  # noqa: PTH208 - names alone
                    names[alike(entry)].append(entry)
            self._folders[folder] = names
        return self._folders[folder]

    def _checked(self, found: FoundFile, written: str, where: str) -> FoundFile:
        path = found.path
        if path.is_dir():
            raise DataError(f"{where}: {written!r} is a folder. Give each image a row of its own.")
        if not self.follow_links and self._is_outside(path):
            raise DataError(
                f"{where}: {written!r} is a link out of {self.root}. Give --follow-links (in "
                "Python follow_links=True) to follow it, or copy the file below that folder."
            )
        return found

    def _is_outside(self, path: Path) -> bool:
        for folder in (self.root, path.parent):
            if folder not in self._real:
                self._real[folder] = os.path.realpath(folder)
        root, parent = self._real[self.root], self._real[path.parent]
        real = path if path.is_symlink() else Path(parent) / path.name
        return lies_outside(real, root)


def _leaves(written: str) -> bool:
    windows = PureWindowsPath(written)
    return bool(windows.drive or windows.root) or ".." in windows.parts
