"""Recognise the layout of a folder by its folders, and read kind and split from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from vae_anomaly.data.images.folders.items import ImageItem, Layout
from vae_anomaly.data.images.folders.walk import subfolders
from vae_anomaly.data.tables.labels import GOOD_NAMES


def layout_of(root: Path) -> Layout:
    """Recognise the layout by the names of the folders."""
    if (root / "train" / "good").is_dir() or (
        (root / "test").is_dir() and subfolders(root / "test")
    ):
        return "mvtec"
    has_good = any(name.lower() in GOOD_NAMES for name in subfolders(root))
    return "classes" if has_good else "flat"


def plain_item(root: Path, file: Path, layout: Layout) -> ImageItem:
    """Describe an image of a folder without train and test; its first folder may be its kind."""
    parts = file.relative_to(root).parts
    identifier = PurePosixPath(*parts).as_posix()
    if layout != "classes" or len(parts) < 2:
        return ImageItem(identifier, file)
    return _of_kind(ImageItem(identifier, file), parts[0])


def _of_kind(item: ImageItem, kind: str) -> ImageItem:
    return replace(item, kind=kind, is_anomaly=kind.lower() not in GOOD_NAMES)


def mvtec_items(root: Path, images: Sequence[Path]) -> list[ImageItem]:
    """Describe the images under train and test."""
    items = []
    for file in images:
        split, *parts = file.relative_to(root).parts
        if split not in {"train", "test"} or len(parts) < 2:
            continue
        identifier = PurePosixPath(split, *parts).as_posix()
        items.append(_of_kind(ImageItem(identifier, file, split=split), parts[0]))
    return items
