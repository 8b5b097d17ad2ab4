"""Images as the image detector takes them, one at a time: from folders, manifests and Python."""

from vae_anomaly.detectors.images.image_list.given import open_images
from vae_anomaly.detectors.images.image_list.images import (
    CHUNK,
    GPU_CHUNK,
    ImageList,
    Result,
    chunk_on,
    look_at,
    padded,
    refuse_faults,
)
from vae_anomaly.detectors.images.image_list.stored import (
    ImageStorage,
    look_at_storage,
)

__all__ = [
    "CHUNK",
    "GPU_CHUNK",
    "ImageList",
    "ImageStorage",
    "Result",
    "chunk_on",
    "look_at",
    "look_at_storage",
    "open_images",
    "padded",
    "refuse_faults",
]
