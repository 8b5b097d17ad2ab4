"""Go through the files of a folder; links may lead out of it only where that was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vae_anomaly.data.images.folders.not_input import is_system_folder
from vae_anomaly.errors import DataError
from vae_anomaly.files import is_system_file, lies_outside


def walk(
    root: Path,
    passed: list[Path] | None = None,
    *,
    follow_links: bool = False,
    folders: list[Path] | None = None,
) -> Iterator[Path]:
    """Go through all files that are not hidden, sorted within each folder.

    System folders, and what is hidden, are not entered but added to ``passed``;
    those that are entered, to ``folders``.

    A link to something inside the root is taken where it is a file, and not entered where it is a
    folder: what lies there is listed anyway. One that leads nowhere, or back to itself, is yielded
    as a file that cannot be read. One that leads out of the root is a `DataError`, unless
    ``follow_links``: then every folder is entered once.
    """
    by = [] if passed is None else passed
    inside = os.path.realpath(root)
    entered: set[str] = set()
    for folder, subfolders, names in os.walk(
        root, onerror=_refuse_closed, followlinks=follow_links
    ):
        here = Path(folder)
        if follow_links and _is_known(folder, entered):
            subfolders.clear()
            continue
        by += [here / name for name in sorted(subfolders) if _is_passed(name)]
        by += [here / name for name in sorted(names) if name.startswith(".")]
        subfolders[:] = sorted(name for name in subfolders if not _is_passed(name))
        if folders is not None:
            folders.append(here)
        files = [
            here / name
            for name in sorted(names)
            if not name.startswith(".") and not is_system_file(name)
        ]
        for path in () if follow_links else (*(here / name for name in subfolders), *files):
            refuse_escape(path, inside)
        yield from files


def _is_known(folder: str, entered: set[str]) -> bool:
    """Tell whether a folder was entered by another way, and note it."""
    real = os.path.realpath(folder)
    known = real in entered
    entered.add(real)
    return known


def _is_passed(folder: str) -> bool:
    return folder.startswith(".") or is_system_folder(folder)


def _refuse_closed(err: OSError) -> None:
    raise DataError(
        f"{err.filename} cannot be listed: {err.strerror}. Grant access to it, or move it."
    ) from None


def refuse_escape(path: Path, root: str | Path) -> None:
    """Raise if a link leads out of the root, which is a real path, to something that is there."""
    if not path.is_symlink() or not os.path.exists(path):  # noqa: PTH110 - it never raises
        return
    if lies_outside(path, root):
        raise DataError(
            f"{path} is a link to {os.path.realpath(path)}, outside {root}. Give --follow-links "
            "(in Python follow_links=True) to follow such links, or copy there what it leads to."
        )
