"""Read a manifest: a table with a row for each image."""

from __future__ import annotations

import codecs
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

import pandas as pd

from vae_anomaly.data.images.folders.class_names import read_name
from vae_anomaly.data.images.folders.class_words import fold
from vae_anomaly.data.images.folders.found import FoundFile, Names
from vae_anomaly.data.images.folders.items import (
    ClassNames,
    ImageItem,
    ImageListing,
    refuse_repeated_ids,
)
from vae_anomaly.data.images.folders.layouts import NO_CLASS
from vae_anomaly.data.images.folders.manifest_columns import PATHS, with_known_columns
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.labels import read_answers
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import DataError
from vae_anomaly.storage.copies import fetch_beside
from vae_anomaly.words import names_of

logger = logging.getLogger(__name__)

MANIFEST_SUFFIXES: Final = frozenset({".csv", ".tsv", ".parquet", ".pq"})
_MANIFEST_COLUMNS: Final = ("path", "id", "kind", "is_anomaly", "mask", "group", "split")
_MOST_MISSING: Final = 0.5
"""Share of rows without a file from which on the manifest does not fit its folder."""

_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def list_manifest(
    path: Path, classes: ClassNames | None = None, *, follow_links: bool = False
) -> ImageListing:
    """Read a manifest; every path in it must stay under the manifest's folder.

    Paths may be written as on Windows, in other upper and lower case, or with accents apart, as
    long as one file fits. A row whose file is not there is an item that cannot be read; where most
    rows are such, the manifest is refused. ``classes`` says of which kinds the class is known.
    """
    said = classes or ClassNames()
    table = _without_last_rows(read_listing(path, _MANIFEST_COLUMNS))
    frame, questions = with_known_columns(table, said)
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
    fetch_beside(path, _named_files(frame))
    rows = _rows(path, frame, Names(path.parent, follow_links=follow_links), said)
    _refuse_repeated_files(path, rows)
    items = tuple(row.item for row in rows)
    refuse_repeated_ids(items, str(path))
    _refuse_mostly_missing(path, rows)
    n_other = sum(row.otherwise for row in rows)
    if n_other:
        first = next(row for row in rows if row.otherwise)
        logger.info(
            "%s: %d of %d rows write the path otherwise than the disk has it, as %r for %s",
            path, n_other, len(rows), first.written, first.item.id,
        )  # fmt: skip
    return ImageListing(items, (), "manifest", questions=questions)


def _named_files(frame: pd.DataFrame) -> list[str]:
    """Return the paths of images and masks, as they are written but for slashes."""
    cells = [read_text(frame[name]) for name in ("path", "mask") if name in frame.columns]
    return [cell.strip().replace("\\", "/") for column in cells for cell in column if cell]


@dataclass(frozen=True)
class _Row:
    """One row: the image, the path as it is written, and whether the disk has it."""

    item: ImageItem
    written: str
    is_there: bool
    otherwise: bool  # whether the disk has the path in other letters


def _rows(manifest: Path, frame: pd.DataFrame, names: Names, said: ClassNames) -> list[_Row]:
    """Describe each row of a manifest."""
    texts = {str(name): read_text(frame[name]) for name in frame.columns}
    labels = _labels(manifest, frame)
    kinds = _spellings(texts.get("kind", ()))
    rows = []
    for place in range(len(frame)):
        cell: dict[str, str | None] = {name: values[place] for name, values in texts.items()}
        file = _file(names, cell["path"], manifest, place)
        mask = cell.get("mask")
        kind = cell.get("kind")
        kind = kinds[fold(kind)] if kind else None
        known = _is_defect(kind, said) if kind else None
        below = PurePosixPath(file.path.relative_to(names.root)).as_posix()
        item = ImageItem(
            id=cell.get("id") or below,
            path=file.path,
            kind=kind,
            is_anomaly=known if labels[place] is None else labels[place],
            mask=_file(names, mask, manifest, place).path if mask else None,
            group=cell.get("group"),
            split=cell.get("split"),
            columns=cell,
        )
        rows.append(_Row(item, str(cell["path"]), file.is_there, file.otherwise))
    given = {row.item.is_anomaly for row in rows}
    return [replace(row, item=_beside(given, row.item)) for row in rows]


def _beside(labels: set[bool | None], item: ImageItem) -> ImageItem:
    """Mark an image of no class beside good ones; beside defects, one of a kind such as "?"."""
    if item.is_anomaly is not None or not (False in labels or (item.kind and True in labels)):
        return item
    return replace(item, unsure=NO_CLASS)


def _spellings(kinds: Iterable[str | None]) -> dict[str, str]:
    """Return how each kind is written mostly, by its letters without case and accents."""
    result: dict[str, str] = {}
    for kind, _ in Counter(kind for kind in kinds if kind).most_common():
        result.setdefault(fold(kind), kind)
    return result


def _without_last_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Cut the empty rows that Excel leaves at the end."""
    texts = [read_text(frame[name]) for name in frame.columns]
    filled = [place for place in range(len(frame)) if any(column[place] for column in texts)]
    return frame.iloc[: filled[-1] + 1] if filled else frame.iloc[:0]


def _file(names: Names, written: str | None, manifest: Path, place: int) -> FoundFile:
    where = f"{manifest}, row {place + 1}"
    if written is None or not written.strip():
        raise DataError(f"{where}: the path is empty. Fill it in or delete the row.")
    return names.find(written, where)


def _is_defect(kind: str, said: ClassNames) -> bool | None:
    verdict = said.of(PurePosixPath(kind))
    says = verdict or read_name(kind).says
    return None if says == "unsorted" else says != "good"


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


def _refuse_repeated_files(manifest: Path, rows: Sequence[_Row]) -> None:
    """Refuse one file in two rows, and a mask that is listed as an image."""
    first: dict[Path, int] = {}
    for place, row in enumerate(rows):
        other = first.setdefault(row.item.path, place)
        if other != place:
            raise DataError(
                f"{manifest}, rows {other + 1} and {place + 1} name the same image twice: "
                f"{row.written!r}. Delete one of them."
            )
    for place, row in enumerate(rows):
        as_image = first.get(row.item.mask) if row.item.mask else None
        if as_image is not None and as_image != place:
            raise DataError(
                f"{manifest}, row {as_image + 1}: {rows[as_image].written!r} is the mask of row "
                f"{place + 1}. Delete the row, or correct the mask."
            )


def _refuse_mostly_missing(manifest: Path, rows: Sequence[_Row]) -> None:
    missing = [row.written for row in rows if not row.is_there]
    if len(missing) <= _MOST_MISSING * len(rows):
        return
    raise DataError(
        f"{manifest}: {len(missing)} of {len(rows)} rows name files that are not in "
        f"{manifest.parent}, such as {', '.join(map(repr, missing[:3]))}. Write paths from the "
        "manifest's folder, or put the manifest beside the images."
    )


def read_listing(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a table that names images, as Excel, Windows or a program saved it.

    A column called like one of ``names`` but for case and blanks gets that name.
    """
    return _with_known_names(_read(path), names)


def _with_known_names(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Take ``Path`` or `` mask `` for the column that it means, unless there are both."""
    present = set(map(str, frame.columns))
    plain = {name: str(name).strip().lower() for name in frame.columns}
    meant = {
        name: to
        for name, to in plain.items()
        if to in names and to not in present and list(plain.values()).count(to) == 1
    }
    return frame.rename(columns=meant)


def _read(path: Path) -> pd.DataFrame:
    """Read the table; of a CSV that Excel saved in the code page of Windows as well."""
    if path.suffix.lower() not in {".csv", ".tsv"} or _is_unicode(path):
        return read_table(path, as_text=(*PATHS, "path", "mask"))
    try:
        text = path.read_bytes().decode("cp1252")
    except UnicodeDecodeError:
        return read_table(path)  # which says where it is no text
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as folder:
        copy = Path(folder) / f"manifest{path.suffix}"
        copy.write_bytes(text.encode("utf-8"))
        logger.info("%s is no UTF-8; it is read as Windows-1252", path)
        try:
            return read_table(copy, as_text=(*PATHS, "path", "mask"))
        except DataError as err:
            raise DataError(str(err).replace(str(copy), str(path))) from None


def _is_unicode(path: Path) -> bool:
    content = path.read_bytes()
    if content.startswith(_MARKS) or b"\0" in content[:4096]:
        return True
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
