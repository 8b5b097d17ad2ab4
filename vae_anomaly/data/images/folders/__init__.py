"""List images: a flat folder, a folder of classes, the MVTec layout, a manifest, or a list.

Layouts, recognised by their folders:

* ``train/good``, ``test/<kind>``, ``ground_truth/<kind>`` (MVTec): kind, split and mask are known.
* a folder that has one named good, ok or normal in it: each folder in it is a kind.
* anything else: images, in folders or not, of which nothing more is known.

A manifest is a CSV or parquet file with a column ``path`` (relative to the manifest) and, as far as
they are known, ``id, kind, is_anomaly, mask, group, split``. Further columns are kept as text: a
detector may be told to take one of them for the product that an image shows.
"""

from vae_anomaly.data.images.folders.items import (
    IMAGE_SUFFIXES,
    ImageItem,
    ImageListing,
    condition_of,
)
from vae_anomaly.data.images.folders.listing import list_images, scan_images
from vae_anomaly.data.images.folders.manifest import MANIFEST_SUFFIXES

__all__ = [
    "IMAGE_SUFFIXES",
    "MANIFEST_SUFFIXES",
    "ImageItem",
    "ImageListing",
    "condition_of",
    "list_images",
    "scan_images",
]
