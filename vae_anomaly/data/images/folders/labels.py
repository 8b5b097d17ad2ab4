"""Tell which images are good, or trained on, where no folder says it: by masks, names and parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from vae_anomaly.data.images.folders.class_names import file_says_defective
from vae_anomaly.data.images.folders.items import ImageItem, ImageListing
from vae_anomaly.data.images.folders.layouts import NO_PART
from vae_anomaly.data.images.folders.selection import MARKED
from vae_anomaly.data.images.masks import read_mask
from vae_anomaly.errors import ImageError

UNCLEAR_MASK: Final = "mask that cannot be told"
UNREAD_MASK: Final = "mask that cannot be read"
NAMED_DEFECTIVE: Final = "file names that say defective"


def labelled(listing: ImageListing) -> ImageListing:
    """Return a listing in which masks, file names and parts say what no folder does.

    * An image of no class is defective if its mask marks anything; if that is blank, it is good.
    * No training takes an image whose mask cannot be told or read, or one that is called good
      and whose mask marks something; nor, among images of no class, those whose file names say
      defective (``SN17_NG.png``) while others do not.
    * Where images lie in a part for training, those that lie in no part are not used; of several
      inputs each has parts of its own.
    """
    items = _by_name(tuple(map(_by_mask, listing.items)))
    several = not isinstance(listing.source, str | Path) and len(listing.source) > 1
    return replace(listing, items=_by_part(items, several=several))


def _by_mask(item: ImageItem) -> ImageItem:
    if item.mask is None or item.is_anomaly:
        doubtful = item.mask_fault is not None and item.is_anomaly is None
        return _unsure(item, UNCLEAR_MASK) if doubtful else item
    try:
        is_marked = bool(read_mask(item.mask, item.path).any())
    except ImageError:
        return item if item.is_anomaly is False else _unsure(item, UNREAD_MASK)
    if item.is_anomaly is None:
        return replace(item, is_anomaly=is_marked)
    return _unsure(item, MARKED) if is_marked else item


def _by_name(items: Sequence[ImageItem]) -> tuple[ImageItem, ...]:
    """Leave out what is called defective, unless all is called so: then it is the product's name.

    Images of which something else is known stay as they are.
    """
    unknown = [item for item in items if item.is_anomaly is None and item.unsure is None]
    called = {item.id for item in unknown if file_says_defective(item.path.stem)}
    if len(called) == len(unknown):
        return tuple(items)
    return tuple(_unsure(item, NAMED_DEFECTIVE) if item.id in called else item for item in items)


def _by_part(items: Sequence[ImageItem], *, several: bool) -> tuple[ImageItem, ...]:
    inputs = [item.id.partition("/")[0] if several else "" for item in items]
    parted = {one for item, one in zip(items, inputs, strict=True) if item.split == "train"}
    return tuple(
        _unsure(item, NO_PART) if item.split is None and one in parted else item
        for item, one in zip(items, inputs, strict=True)
    )


def _unsure(item: ImageItem, why: str) -> ImageItem:
    return replace(item, unsure=item.unsure or why)
