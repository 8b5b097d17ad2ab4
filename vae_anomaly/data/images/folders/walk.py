"""Go through the files of a folder; links may not lead out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vae_anomaly.data.images.folders.not_input import is_system_file, is_system_folder
from vae_anomaly.errors import DataError


def walk(root: Path, passed: list[Path] | None = None) -> Iterator[Path]:
    """Go through all files that are not hidden; refuse links that lead out of the root.

    System folders, and what is hidden, are not entered but added to ``passed``.
    """
    by = [] if passed is None else passed
    inside = root.resolve()
    for folder, subfolders, names in os.walk(root, onerror=_refuse_closed, followlinks=False):
        here = Path(folder)
        by += [here / name for name in sorted(subfolders) if _is_passed(name)]
        subfolders[:] = sorted(name for name in subfolders if not _is_passed(name))
        for name in subfolders:
            refuse_escape(here / name, inside)
        for name in sorted(names):
            if name.startswith("."):
                by.append(here / name)
            elif not is_system_file(name):
                refuse_escape(here / name, inside)
                yield here / name


def _is_passed(folder: str) -> bool:
    return folder.startswith(".") or is_system_folder(folder)


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
