"""List images: a flat folder, a folder of classes, the MVTec layout, a manifest, or a list.

Layouts, recognised by their folders:

* ``train/good``, ``test/<kind>``, ``ground_truth/<kind>`` (MVTec): kind, split and mask are known.
* a folder that has one named good, ok or normal in it: each folder in it is a kind.
* anything else: images, in folders or not, of which nothing more is known.

A manifest is a CSV or parquet file with a column ``path`` (relative to the manifest) and, as far as
they are known, ``id, kind, is_anomaly, mask, group, split``. Further columns are kept as text: a
detector may be told to take one of them for the product that an image shows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, Literal

import pandas as pd

from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.labels import GOOD_NAMES, read_answers
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import DataError

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp"}
)
_FOLDER: Final = "folder"
"""Where `condition_of` finds a condition, unless it names a column of the manifest."""

MANIFEST_SUFFIXES: Final = frozenset({".csv", ".tsv", ".parquet", ".pq"})
MASK_ENDINGS: Final = ("_mask", "")
_MANIFEST_COLUMNS: Final = ("path", "id", "kind", "is_anomaly", "mask", "group", "split")
_SYSTEM_FOLDERS: Final = frozenset({"__macosx", "@eadir"})

Layout = Literal["flat", "classes", "mvtec", "manifest", "list"]


@dataclass(frozen=True)
class ImageItem:
    """One image and what is known of it.

    Parameters
    ----------
    id : str
        Path relative to the source, with forward slashes: the same on every machine.
    path : Path
        Where the file is.
    kind : str, optional
        "good" or the kind of defect.
    mask : Path, optional
        An image of the same size, not zero where the defect is.
    group : str, optional
        What must not be split between training and calibration: part, lot, camera.
    split : str, optional
        "train" or "test".
    columns : mapping of str to str or None
        Every column of the manifest, as text; empty without a manifest.
    """

    id: str
    path: Path
    kind: str | None = None
    is_anomaly: bool | None = None
    mask: Path | None = None
    group: str | None = None
    split: str | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class ImageListing:
    """All images of a source, and what there was besides.

    Parameters
    ----------
    items : tuple of ImageItem
        Sorted by id; the order of the manifest or list where there is one.
    skipped : tuple of Path
        Files that are no images by their name. Hidden files are not even skipped.
    layout : {"flat", "classes", "mvtec", "manifest", "list"}
    """

    items: tuple[ImageItem, ...]
    skipped: tuple[Path, ...]
    layout: Layout


def list_images(
    source: str | Path | Sequence[str | Path], *, split: str | None = None
) -> list[ImageItem]:
    """List the images of a source, in an order that does not depend on the file system.

    Parameters
    ----------
    source : folder, manifest, image, or list of images
    split : {"train", "test"}, optional
        Only this part, where the source has parts; a source without parts is listed wholly.

    Returns
    -------
    list of ImageItem
        Files that are no images by their name are left out and logged as a warning.

    Raises
    ------
    DataError
        If there is no image, a file does not exist, or a path leads out of the source.
    """
    listing = scan_images(source)
    if listing.skipped:
        names = ", ".join(path.name for path in listing.skipped[:5])
        logger.warning("%d files are no images by name: %s", len(listing.skipped), names)
    items = [item for item in listing.items if split is None or item.split in {None, split}]
    if not items:
        raise DataError(f"{source} has no images in {split!r}. Check its folders or manifest.")
    return items


def condition_of(item: ImageItem, where: str) -> str | None:
    """Return what an image shows, for a conditional model; None where it is not told.

    ``where`` is "folder", for the name of the folder that it lies in, or a column of the manifest.

    Examples
    --------
    >>> condition_of(ImageItem("a/1.png", Path("/tiles/train/good/a/1.png")), "folder")
    'a'
    """
    if where == _FOLDER and _FOLDER not in item.columns:
        return Path(os.path.abspath(item.path)).parent.name or None  # noqa: PTH100 - links stay
    return item.columns.get(where)


def scan_images(source: str | Path | Sequence[str | Path]) -> ImageListing:
    """List the images of a source together with the files that are none; see `list_images`."""
    if not isinstance(source, (str, Path)):
        return _list_paths([Path(path) for path in source])
    path = _checked_path(source)
    if path.is_dir():
        return _scan_folder(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist. Check the path.")
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return _read_manifest(path)
    return _list_paths([path])


def _scan_folder(root: Path) -> ImageListing:
    """List a folder by its layout."""
    files = list(_walk(root))
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    skipped = tuple(file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES)
    layout = _layout_of(root)
    if layout == "mvtec":
        items = _mvtec_items(root, images)
    else:
        items = [_plain_item(root, file, layout) for file in images]
    if not items:
        raise DataError(
            f"{root} holds no images{_other_files(skipped)}. "
            f"Put {', '.join(sorted(IMAGE_SUFFIXES))} files there, or name another folder."
        )
    return ImageListing(tuple(sorted(items, key=lambda item: item.id)), skipped, layout)


def _other_files(skipped: Sequence[Path]) -> str:
    if not skipped:
        return ""
    return f", only {len(skipped)} other files such as {skipped[0].name!r}"


def _walk(root: Path) -> Iterator[Path]:
    """Go through all files that are not hidden; refuse links that lead out of the root."""
    inside = root.resolve()
    for folder, subfolders, names in os.walk(root, onerror=_refuse_closed, followlinks=False):
        here = Path(folder)
        for name in subfolders:
            _refuse_escape(here / name, inside)
        subfolders[:] = sorted(
            n for n in subfolders if not n.startswith(".") and n.lower() not in _SYSTEM_FOLDERS
        )
        for name in sorted(names):
            if not name.startswith("."):
                _refuse_escape(here / name, inside)
                yield here / name


def _refuse_closed(err: OSError) -> None:
    raise DataError(
        f"{err.filename} cannot be listed: {err.strerror}. Grant access to it, or move it."
    ) from None


def _refuse_escape(path: Path, root: Path) -> None:
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


def _layout_of(root: Path) -> Layout:
    """Recognise the layout by the names of the folders."""
    if (root / "train" / "good").is_dir() or (
        (root / "test").is_dir() and _subfolders(root / "test")
    ):
        return "mvtec"
    has_good = any(name.lower() in GOOD_NAMES for name in _subfolders(root))
    return "classes" if has_good else "flat"


def _subfolders(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.is_dir()]


def _plain_item(root: Path, file: Path, layout: Layout) -> ImageItem:
    """Describe an image of a folder without train and test; its first folder may be its kind."""
    parts = file.relative_to(root).parts
    identifier = PurePosixPath(*parts).as_posix()
    if layout != "classes" or len(parts) < 2:
        return ImageItem(identifier, file)
    masks = _masks_beside(root)
    return replace(_of_kind(ImageItem(identifier, file), parts[0]), mask=_mask(masks, parts))


def _masks_beside(root: Path) -> Path | None:
    """Return the masks that belong to the folder ``test`` of the MVTec layout."""
    masks = root.parent / "ground_truth"
    return masks if root.name == "test" and masks.is_dir() else None


def _of_kind(item: ImageItem, kind: str) -> ImageItem:
    return replace(item, kind=kind, is_anomaly=kind.lower() not in GOOD_NAMES)


def _mvtec_items(root: Path, images: Sequence[Path]) -> list[ImageItem]:
    """Describe the images under train and test; masks are no images of their own."""
    masks = root / "ground_truth"
    items = []
    for file in images:
        split, *parts = file.relative_to(root).parts
        if split not in {"train", "test"} or len(parts) < 2:
            continue
        identifier = PurePosixPath(split, *parts).as_posix()
        item = _of_kind(ImageItem(identifier, file, split=split), parts[0])
        mask = _mask(masks if masks.is_dir() else None, parts) if split == "test" else None
        items.append(replace(item, mask=mask))
    return items


def _mask(masks: Path | None, parts: Sequence[str]) -> Path | None:
    """Find the mask of <kind>/.../<stem>.* as <stem>_mask.* or <stem>.* in the same folders."""
    if masks is None:
        return None
    folder, stem = masks.joinpath(*parts[:-1]), Path(parts[-1]).stem
    for ending in MASK_ENDINGS:
        for suffix in (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".webp"):
            candidate = folder / f"{stem}{ending}{suffix}"
            if candidate.is_file():
                _refuse_escape(candidate, masks.resolve())
                return candidate
    return None


def _list_paths(paths: Sequence[Path]) -> ImageListing:
    """Describe a list of images; ids are relative to the folder that all have in common."""
    if not paths:
        raise DataError("No images were given: the list is empty. Name at least one.")
    absent = [path for path in paths if not _checked_path(path).is_file()]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(paths)} images do not exist, the first is {absent[0]}. "
            "Check the paths."
        )
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - links stay links
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    items = tuple(
        ImageItem(path.relative_to(common).as_posix(), given)
        for path, given in zip(absolute, paths, strict=True)
    )
    _refuse_repeated_ids(items, "The list")
    return ImageListing(items, (), "list")


def _read_manifest(path: Path) -> ImageListing:
    """Read a manifest; every path in it must stay under the manifest's folder."""
    frame = read_table(path)
    unknown = [str(name) for name in frame.columns if name not in _MANIFEST_COLUMNS]
    if "path" not in frame.columns:
        raise DataError(
            f"{path} has no column 'path'. Columns: {', '.join(unknown[:10])}. "
            f"A manifest has path and, if known, {', '.join(_MANIFEST_COLUMNS[1:])}."
        )
    if unknown:
        logger.info("manifest columns that have no fixed meaning: %s", ", ".join(unknown))
    if frame.empty:
        raise DataError(f"{path} lists no images. Add rows, or name another manifest.")
    items = tuple(_manifest_items(path, frame))
    _refuse_repeated_ids(items, str(path))
    return ImageListing(items, (), "manifest")


def _manifest_items(manifest: Path, frame: pd.DataFrame) -> Iterator[ImageItem]:
    """Describe each row of a manifest."""
    texts = {str(name): read_text(frame[name]) for name in frame.columns}
    labels = _labels(manifest, frame)
    root = manifest.parent
    for row in range(len(frame)):
        cell: dict[str, str | None] = {name: values[row] for name, values in texts.items()}
        file = _inside(root, cell["path"], manifest, row)
        mask = cell.get("mask")
        kind = cell.get("kind")
        known = kind.lower() not in GOOD_NAMES if kind else None
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


def _refuse_repeated_ids(items: Sequence[ImageItem], where: str) -> None:
    known_ids: set[str] = set()
    for item in items:
        if item.id in known_ids:
            raise DataError(f"{where} names {item.id!r} twice. Give every image one id.")
        known_ids.add(item.id)


def _checked_path(source: str | Path) -> Path:
    if "\0" in str(source):
        raise DataError(f"The path {str(source)!r} holds a NUL character. Check where it is from.")
    return Path(source)
