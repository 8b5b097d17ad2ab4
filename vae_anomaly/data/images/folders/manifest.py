"""Read a manifest: a table with a row for each image."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import pandas as pd

from vae_anomaly.data.images.folders.class_names import says_good
from vae_anomaly.data.images.folders.items import (
    ClassNames,
    ImageItem,
    ImageListing,
    refuse_repeated_ids,
)
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.labels import read_answers
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import DataError
from vae_anomaly.words import names_of

logger = logging.getLogger(__name__)

MANIFEST_SUFFIXES: Final = frozenset({".csv", ".tsv", ".parquet", ".pq"})
_MANIFEST_COLUMNS: Final = ("path", "id", "kind", "is_anomaly", "mask", "group", "split")


def list_manifest(path: Path, classes: ClassNames | None = None) -> ImageListing:
    """Read a manifest; every path in it must stay under the manifest's folder.

    ``classes`` says of which kinds the class is known.
    """
    said = classes or ClassNames()
    frame = read_table(path)
    unknown = [str(name) for name in frame.columns if name not in _MANIFEST_COLUMNS]
    if "path" not in frame.columns:
        raise DataError(
            f"{path} has no column 'path'. Columns: {names_of(unknown, 10)}. A manifest has path "
            f"and, if known, {', '.join(_MANIFEST_COLUMNS[1:])}."
        )
    if unknown:
        logger.info("manifest columns that have no fixed meaning: %s", ", ".join(unknown))
    if frame.empty:
        raise DataError(f"{path} lists no images. Add rows, or name another manifest.")
    items = tuple(_manifest_items(path, frame, said))
    refuse_repeated_ids(items, str(path))
    said.require_found({item.kind for item in items if item.kind}, f"{path} has no kind")
    return ImageListing(items, (), "manifest")


def _manifest_items(manifest: Path, frame: pd.DataFrame, said: ClassNames) -> Iterator[ImageItem]:
    """Describe each row of a manifest."""
    texts = {str(name): read_text(frame[name]) for name in frame.columns}
    labels = _labels(manifest, frame)
    root = manifest.parent
    for row in range(len(frame)):
        cell: dict[str, str | None] = {name: values[row] for name, values in texts.items()}
        file = _inside(root, cell["path"], manifest, row)
        mask = cell.get("mask")
        kind = cell.get("kind")
        known = _is_defect(kind, said) if kind else None
        yield ImageItem(
            id=cell.get("id") or PurePosixPath(str(cell["path"])).as_posix(),
            path=file,
            kind=kind,
            is_anomaly=known if labels[row] is None else labels[row],
            mask=_inside(root, mask, manifest, row) if mask else None,
            group=cell.get("group"),
            split=cell.get("split"),
            columns=cell,
        )


def _is_defect(kind: str, said: ClassNames) -> bool:
    verdict = said.of(PurePosixPath(kind))
    return verdict == "defect" if verdict else not says_good(kind)


def _labels(manifest: Path, frame: pd.DataFrame) -> list[bool | None]:
    """Read the column is_anomaly, where there is one."""
    if "is_anomaly" not in frame.columns:
        return [None] * len(frame)
    values, codes = read_answers(frame["is_anomaly"])
    bad = [row for row, code in enumerate(codes) if code is not None]
    if bad:
        raise DataError(
            f"{manifest}, row {bad[0] + 1}: is_anomaly is {frame['is_anomaly'].iloc[bad[0]]!r}. "
            "Write 0 or 1, yes or no, good or defect."
        )
    return [None if value != value else bool(value) for value in values]


def _inside(root: Path, relative: str | None, manifest: Path, row: int) -> Path:
    """Return the file that a manifest names; refuse every way out of its folder."""
    where = f"{manifest}, row {row + 1}"
    if relative is None:
        raise DataError(f"{where}: the path is empty. Fill it in or delete the row.")
    pure = PurePosixPath(relative)
    leaves = pure.is_absolute() or PureWindowsPath(relative).is_absolute() or ".." in pure.parts
    if leaves or "\0" in relative or ".." in PureWindowsPath(relative).parts:
        raise DataError(
            f"{where}: {relative!r} is absolute or leads out of the manifest's folder. "
            "Write paths relative to the manifest, below its folder."
        )
    file = root / pure
    if not file.resolve().is_relative_to(root.resolve()):
        raise DataError(
            f"{where}: {relative!r} is a link out of {root}. Copy the file below that folder."
        )
    return file
