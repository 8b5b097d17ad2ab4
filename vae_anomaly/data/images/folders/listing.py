"""List the images of a source: a folder, a manifest, an image, or a list of images."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vae_anomaly.data.images.folders.items import (
    IMAGE_SUFFIXES,
    ImageItem,
    ImageListing,
    refuse_repeated_ids,
)
from vae_anomaly.data.images.folders.layouts import layout_of, mvtec_items, plain_item
from vae_anomaly.data.images.folders.manifest import MANIFEST_SUFFIXES, list_manifest
from vae_anomaly.data.images.folders.mask_owners import MaskFiles
from vae_anomaly.data.images.folders.masks import masks_among
from vae_anomaly.data.images.folders.walk import walk
from vae_anomaly.errors import DataError
from vae_anomaly.words import names_of, number_of, verb_for

logger = logging.getLogger(__name__)


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
        n, names = len(listing.skipped), names_of(path.name for path in listing.skipped)
        no_images = f"{verb_for(n)} no {verb_for(n, 'image', 'images')}"
        logger.warning("%s %s by name: %s", number_of(n, "file"), no_images, names)
    said = sorted(path.name for path in listing.masks.files if "ground_truth" not in path.parts)
    if said:
        n = len(said)
        masks = verb_for(n, "is a mask, no image", "are masks of images, no images")
        logger.warning("%s %s: %s", number_of(n, "file"), masks, names_of(said))
    items = [item for item in listing.items if split is None or item.split in {None, split}]
    if not items:
        raise DataError(f"{source} has no images in {split!r}. Check its folders or manifest.")
    return items


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
        return list_manifest(path)
    return _list_paths([path])


def _scan_folder(root: Path) -> ImageListing:
    """List a folder by its layout."""
    files = list(walk(root))
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    masks = masks_among(root, images)
    images = [file for file in images if file not in masks.files]
    skipped = tuple(file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES)
    layout = layout_of(root)
    if layout == "mvtec":
        items = mvtec_items(root, images)
    else:
        items = [plain_item(root, file, layout) for file in images]
    if not items:
        raise DataError(
            f"{root} holds no images{_other_files(skipped)}. "
            f"Put {', '.join(sorted(IMAGE_SUFFIXES))} files there, or name another folder."
        )
    marked = [_marked(item, masks) for item in sorted(items, key=lambda item: item.id)]
    return ImageListing(tuple(marked), skipped, layout, masks)


def _marked(item: ImageItem, masks: MaskFiles) -> ImageItem:
    """Give an image its mask, or the reason why it has none."""
    return replace(item, mask=masks.of.get(item.path), mask_fault=masks.unclear.get(item.path))


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
