"""Tell good images from defective ones by their masks, where no folder says which they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vae_anomaly.data.images.folders.items import ImageItem, ImageListing
from vae_anomaly.data.images.masks import read_mask
from vae_anomaly.errors import ImageError

UNREAD_MASK: Final = "mask that cannot be read"


def labelled_by_masks(listing: ImageListing) -> ImageListing:
    """Return a listing in which an image of no class is defective if its mask marks anything.

    An image whose mask is blank is good. One whose mask cannot be read is left as it is, but no
    training takes it. Images without a mask keep what is known of them.
    """
    return replace(listing, items=tuple(map(_labelled, listing.items)))


def _labelled(item: ImageItem) -> ImageItem:
    if item.mask is None or item.is_anomaly is not None:
        return item
    try:
        return replace(item, is_anomaly=bool(read_mask(item.mask, item.path).any()))
    except ImageError:
        return replace(item, unsure=item.unsure or UNREAD_MASK)
