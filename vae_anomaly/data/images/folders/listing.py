"""List the images of a source: a folder, a manifest, an image, or a list of images."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vae_anomaly.data.images.folders.items import (
    IMAGE_SUFFIXES,
    ClassNames,
    ImageItem,
    ImageListing,
    LeftOutImages,
    refuse_repeated_ids,
)
from vae_anomaly.data.images.folders.layouts import lay_out
from vae_anomaly.data.images.folders.manifest import MANIFEST_SUFFIXES, list_manifest
from vae_anomaly.data.images.folders.mask_owners import MaskFiles
from vae_anomaly.data.images.folders.masks import masks_among
from vae_anomaly.data.images.folders.not_input import count_passed_by, without_results
from vae_anomaly.data.images.folders.selection import MASKS, Purpose, select, told
from vae_anomaly.data.images.folders.walk import walk
from vae_anomaly.errors import DataError
from vae_anomaly.words import names_of, number_of, verb_for

logger = logging.getLogger(__name__)


def list_images(
    source: str | Path | Sequence[str | Path],
    *,
    split: Purpose | None = None,
    classes: ClassNames | None = None,
) -> list[ImageItem]:
    """List the images of a source, in an order that does not depend on the file system.

    Parameters
    ----------
    source : folder, manifest, image, or list of images
    split : {"train", "test"}, optional
        Only what is trained on, or what a detector is measured on, as `select` takes it. Default:
        every image, whatever its folders are called.
    classes : ClassNames, optional
        Folders or kinds of which the class is known, where their names do not tell it.

    Returns
    -------
    list of ImageItem
        Files that are no images by their name are left out and logged as a warning.

    Raises
    ------
    DataError
        If there is no image, a file does not exist, a path leads out of the source, or, with a
        split, names leave open which images are good.
    ConfigError
        If a class is given for a folder that is not there.
    """
    listing = scan_images(source, classes=classes)
    tell_skipped(listing)
    return list(listing.items if split is None else select(listing, split, source).items)


def tell_skipped(listing: ImageListing) -> None:
    """Log a warning of files that are no images by their name."""
    if listing.skipped:
        n, names = len(listing.skipped), names_of(path.name for path in listing.skipped)
        no_images = f"{verb_for(n)} no {verb_for(n, 'image', 'images')}"
        logger.warning("%s %s by name: %s", number_of(n, "file"), no_images, names)
    said = sorted(path.name for path in listing.masks.files if "ground_truth" not in path.parts)
    if said:
        n = len(said)
        masks = verb_for(n, "is a mask, no image", "are masks of images, no images")
        logger.warning("%s %s: %s", number_of(n, "file"), masks, names_of(said))


def scan_images(
    source: str | Path | Sequence[str | Path],
    *,
    classes: ClassNames | None = None,
    out: str | Path | None = None,
) -> ImageListing:
    """List the images of a source together with what is no input; see `list_images`.

    ``out`` is where the command that asks writes: what it drew there is not even counted.
    """
    return replace(_scan(source, classes, None if out is None else Path(out)), source=source)


def _scan(
    source: str | Path | Sequence[str | Path], classes: ClassNames | None, out: Path | None
) -> ImageListing:
    if not isinstance(source, (str, Path)):
        return _named_by(classes, _list_paths([Path(path) for path in source]))
    path = _checked_path(source)
    if path.is_dir():
        return _scan_folder(path, classes, out)
    if not path.is_file():
        raise DataError(f"{path} does not exist. Check the path.")
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return list_manifest(path, classes)
    return _named_by(classes, _list_paths([path]))


def _named_by(classes: ClassNames | None, listing: ImageListing) -> ImageListing:
    """Refuse classes of folders where there are no folders."""
    (classes or ClassNames()).require_found((), "A list of images has no folder called")
    return listing


def _scan_folder(root: Path, classes: ClassNames | None, out: Path | None) -> ImageListing:
    """List a folder by its layout."""
    passed: list[Path] = []
    files, ours = without_results(root, list(walk(root, passed)), out)
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    masks = masks_among(root, images)
    images = [file for file in images if file not in masks.files]
    skipped = tuple(file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES)
    laid = lay_out(root, images, classes)
    left_out = (*_count_masks(root, masks), *ours, *count_passed_by(root, passed))
    if not laid.items:
        raise DataError(
            f"{'; '.join((f'{root} holds no images{_other_files(skipped)}', *told(left_out)))}. "
            f"Put {', '.join(sorted(IMAGE_SUFFIXES))} files there, or name another folder."
        )
    items = sorted(laid.items, key=lambda item: item.id)
    marked = tuple(_marked(item, masks) for item in items)
    return ImageListing(marked, skipped, laid.layout, masks, left_out, laid.questions)


def _marked(item: ImageItem, masks: MaskFiles) -> ImageItem:
    """Give an image its mask, or the reason why it has none."""
    return replace(item, mask=masks.of.get(item.path), mask_fault=masks.unclear.get(item.path))


def _count_masks(root: Path, masks: MaskFiles) -> list[LeftOutImages]:
    """Count masks by the folder that they lie in."""
    folders = Counter(file.parent.relative_to(root).as_posix() for file in masks.files)
    return [
        LeftOutImages(MASKS, "" if name == "." else name, n) for name, n in sorted(folders.items())
    ]


def _other_files(skipped: Sequence[Path]) -> str:
    if not skipped:
        return ""
    return f", only {number_of(len(skipped), 'other file')} such as {skipped[0].name!r}"


def _list_paths(paths: Sequence[Path]) -> ImageListing:
    """Describe a list of images; ids are relative to the folder that all have in common."""
    if not paths:
        raise DataError("No images were given: the list is empty. Name at least one.")
    absent = [path for path in paths if not _checked_path(path).is_file()]
    if absent:
        raise DataError(
            f"{len(absent)} of {number_of(len(paths), 'image')} "
            f"{verb_for(len(absent), 'does', 'do')} not exist, the first is {absent[0]}. Check the "
            "paths."
        )
    absolute = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 - links stay links
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    masks = masks_among(common, absolute)
    items = tuple(
        ImageItem(path.relative_to(common).as_posix(), given)
        for path, given in zip(absolute, paths, strict=True)
        if path not in masks.files
    )
    refuse_repeated_ids(items, "The list")
    return ImageListing(items, (), "list", masks)


def _checked_path(source: str | Path) -> Path:
    if "\0" in str(source):
        raise DataError(f"The path {str(source)!r} holds a NUL character. Check where it is from.")
    return Path(source)
