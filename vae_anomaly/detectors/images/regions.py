"""What heat maps say at the size of each image: its regions, and its own map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.examination import ImageExamination
from vae_anomaly.detectors.images.heatmaps import Region, enlarge, find_regions
from vae_anomaly.detectors.images.image_list import ImageList

_AT_ONCE: Final = 32  # images whose maps are held


def regions_of(images: ImageList, heatmaps: Floats32, level: float) -> list[list[Region]]:
    """Return boxes of what is hotter than ``level``, in pixels of each image, hottest first."""
    return [
        find_regions(enlarge(heatmaps[i : i + 1], images.shape(i))[0], level)
        for i in range(len(images))
    ]


def maps_at_own_size(
    images: ImageList, examine: Callable[[ImageList], ImageExamination]
) -> Iterator[Floats32]:
    """Yield the heat map of each image at the image's own size, one at a time."""
    for start in range(0, len(images), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(images)))
        heatmaps = examine(images.take(rows)).heatmap
        for i, heatmap in zip(rows.tolist(), heatmaps, strict=True):
            yield enlarge(heatmap[None], images.shape(i))[0]
