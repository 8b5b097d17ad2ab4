"""Go through the files of a folder; links may not lead out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from vae_anomaly.errors import DataError

_SYSTEM_FOLDERS: Final = frozenset({"__macosx", "@eadir"})


def walk(root: Path) -> Iterator[Path]:
    """Go through all files that are not hidden; refuse links that lead out of the root."""
    inside = root.resolve()
    for folder, subfolders, names in os.walk(root, onerror=_refuse_closed, followlinks=False):
        here = Path(folder)
        for name in subfolders:
            refuse_escape(here / name, inside)
        subfolders[:] = sorted(
            n for n in subfolders if not n.startswith(".") and n.lower() not in _SYSTEM_FOLDERS
        )
        for name in sorted(names):
            if not name.startswith("."):
                refuse_escape(here / name, inside)
                yield here / name


def _refuse_closed(err: OSError) -> None:
    raise DataError(
        f"{err.filename} cannot be listed: {err.strerror}. Grant access to it, or move it."
    ) from None


def refuse_escape(path: Path, root: Path) -> None:
    """Raise if a link leads out of the root or nowhere."""
    if not path.is_symlink():
        return
    try:
        path.resolve()
    except (OSError, RuntimeError):  # the latter up to Python 3.12
        raise DataError(f"{path} is a link that leads back to itself. Remove it.") from None
    if not path.resolve().is_relative_to(root):
        raise DataError(
            f"{path} is a link to {path.resolve()}, outside {root}. "
            "Copy the file there, or give a list of paths."
        )


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder."""
    return [entry.name for entry in folder.iterdir() if entry.is_dir()]
