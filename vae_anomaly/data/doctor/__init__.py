"""Look at data before they are trained on, and say what would spoil the result, and what to do.

`check_path` looks at a folder, file or manifest; `check_images` and `check_table` at what it is
known to be. Nothing here changes a file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from vae_anomaly.data.doctor.images import check_images
from vae_anomaly.data.doctor.report import Finding, Report, Severity
from vae_anomaly.data.doctor.tables import check_table, check_table_files
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import IMAGE_SUFFIXES, MANIFEST_SUFFIXES, ClassNames
from vae_anomaly.data.images.folders.manifest_columns import PATHS
from vae_anomaly.data.images.folders.walk import walk
from vae_anomaly.data.tables.files import is_table
from vae_anomaly.data.tables.read import iter_batches
from vae_anomaly.errors import DataError
from vae_anomaly.files import in_home
from vae_anomaly.names import unspelled
from vae_anomaly.progress import Progress

__all__ = [
    "Finding",
    "Report",
    "Severity",
    "check_images",
    "check_path",
    "check_table",
    "check_table_files",
]


def check_path(
    path: str | Path | Sequence[str | Path],
    *,
    label: str | None = None,
    kind: Literal["images", "table"] | None = None,
    progress: Progress | None = None,
    number_formats: Mapping[str, str] | None = None,
    time_formats: Mapping[str, str] | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
    classes: ClassNames | None = None,
    follow_links: bool = False,
    reading: ImageReading | None = None,
) -> Report:
    """Check a folder of images, a manifest, or tables, whichever the path holds.

    Parameters
    ----------
    path : path, glob, or list of these
    label : str, optional
        The label column of a table.
    kind : {"images", "table"}, optional
        What it is, where that should not be found out.
    progress : callable, optional
    number_formats, time_formats, missing : mapping, optional
        How a table's cells are written, as `Schema.infer` takes it.
    classes : ClassNames, optional
        Which folders of images are good or defective, where their names do not tell it.
    follow_links : bool
        Follow links that lead out of a folder of images.
    reading : ImageReading, optional
        How large files of images may be.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        If the path does not exist or holds neither images nor tables.
    """
    kind = kind or _kind_of_all(path)
    if kind == "images":
        return check_images(
            path, classes=classes, reading=reading, progress=progress, follow_links=follow_links
        )
    return check_table_files(
        path, label=label, progress=progress, number_formats=number_formats,
        time_formats=time_formats, missing=missing,
    )  # fmt: skip


def _kind_of_all(source: str | Path | Sequence[str | Path]) -> Literal["images", "table"]:
    """Tell by the first of what was named, of a pattern by the first thing that it matches."""
    first = source if isinstance(source, str | Path) else next(iter(source), Path())
    path = in_home(first)
    if not os.path.lexists(path):
        path = in_home(unspelled(str(first)))
    if not os.path.lexists(path) and glob.has_magic(str(first)):
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute patterns
        path = Path(matches[0]) if matches else path
    return _kind_of(path)


def _kind_of(path: Path) -> Literal["images", "table"]:
    """Tell images from tables by what there is more of."""
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return "images"
    if path.is_file() and path.suffix.lower() in MANIFEST_SUFFIXES and _is_manifest(path):
        return "images"
    return "table"


def _kind_of_folder(folder: Path) -> Literal["images", "table"]:
    files = [file for file in walk(folder, follow_links=True) if file.is_file()]
    images = sum(file.suffix.lower() in IMAGE_SUFFIXES for file in files)
    tables = sum(map(is_table, files))
    if images == tables == 0:
        raise DataError(
            f"{folder} holds neither images nor tables. "
            "Give a folder with JPEG, PNG, TIFF, BMP or WebP, parquet or CSV files."
        )
    return "images" if images >= tables else "table"


def _is_manifest(path: Path) -> bool:
    """Tell a manifest of images by a column of paths with image names."""
    try:
        head = next(iter(iter_batches(path, 100)))
    except DataError:
        return False
    columns = [name for name in head.columns if str(name).strip().lower() in {"path", *PATHS}]
    return any(
        Path(str(name)).suffix.lower() in IMAGE_SUFFIXES
        for column in columns
        for name in head[column]
    )
