"""One image of a source and what is known of it, and the listing of them all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from vae_anomaly.data.images.folders.mask_owners import MaskFiles
from vae_anomaly.errors import DataError

IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".webp"}
)
_FOLDER: Final = "folder"
"""Where `condition_of` finds a condition, unless it names a column of the manifest."""

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
        Tells where the defect is: a file, or a folder of several that belong together.
    mask_fault : str, optional
        Why it cannot be told which file is its mask.
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
    mask_fault: str | None = None
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
    masks : MaskFiles
        What is no image but the mask of one, by its name or folder.
    """

    items: tuple[ImageItem, ...]
    skipped: tuple[Path, ...]
    layout: Layout
    masks: MaskFiles = field(default_factory=MaskFiles)


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


def refuse_repeated_ids(items: Sequence[ImageItem], where: str) -> None:
    """Raise if two images are called alike; ``where`` they are named begins the message."""
    known_ids: set[str] = set()
    for item in items:
        if item.id in known_ids:
            raise DataError(f"{where} names {item.id!r} twice. Give every image one id.")
        known_ids.add(item.id)
