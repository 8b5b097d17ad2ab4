"""List images: a flat folder, a folder of classes, the MVTec layout, a manifest, or a list.

Layouts are recognised by the names of the folders, in any case and several languages:

* a data set with parts, such as ``train/good``, ``test/<kind>``, ``ground_truth/<kind>`` (MVTec):
  kind, split and mask are known.
* folders of classes, such as ``good`` and ``scratch``, at any depth.
* anything else: images, in folders or not, of which nothing more is known.

A manifest is a CSV or parquet file with a column ``path`` (relative to the manifest) and, as far as
they are known, ``id, kind, is_anomaly, mask, group, split``. Further columns are kept as text: a
detector may be told to take one of them for the product that an image shows.
"""

from vae_anomaly.data.images.folders.class_names import is_defective, names_nothing
from vae_anomaly.data.images.folders.given import LIST
from vae_anomaly.data.images.folders.items import (
    IMAGE_SUFFIXES,
    ClassNames,
    ImageItem,
    ImageListing,
    LeftOutImages,
    condition_of,
)
from vae_anomaly.data.images.folders.listing import (
    list_images,
    scan_images,
    scan_labelled,
    tell_skipped,
)
from vae_anomaly.data.images.folders.manifest import MANIFEST_SUFFIXES, read_listing
from vae_anomaly.data.images.folders.selection import (
    Selection,
    how_to_say,
    reasons_against,
    select,
    told,
    what_is_open,
    why_not_trained_on,
)

__all__ = [
    "IMAGE_SUFFIXES",
    "LIST",
    "MANIFEST_SUFFIXES",
    "ClassNames",
    "ImageItem",
    "ImageListing",
    "LeftOutImages",
    "Selection",
    "condition_of",
    "how_to_say",
    "is_defective",
    "list_images",
    "names_nothing",
    "read_listing",
    "reasons_against",
    "scan_images",
    "scan_labelled",
    "select",
    "tell_skipped",
    "told",
    "what_is_open",
    "why_not_trained_on",
]
