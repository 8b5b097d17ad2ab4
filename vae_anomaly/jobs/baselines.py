"""Keep in a trained detector what its inputs looked like: nights are compared with it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import pandas as pd

from vae_anomaly.detectors.folds import evenly
from vae_anomaly.errors import DataError
from vae_anomaly.monitoring.columns import table_baseline
from vae_anomaly.monitoring.looks import ImageLook, image_baseline, look_of

if TYPE_CHECKING:
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
    from vae_anomaly.detectors.images.image_list import ImageList

_MOST_IMAGES: Final = 512


def keep_table_baseline(detector: TabularVAEDetector, rows: pd.DataFrame) -> None:
    """Describe the rows that a detector was fitted to."""
    detector.baseline_ = table_baseline(detector.schema_.cast(rows), detector.schema_)


def keep_image_baseline(detector: ImageVAEDetector, images: ImageList) -> None:
    """Describe the images that a detector was fitted to, at most 512 at equal distances."""
    looks: list[ImageLook] = []
    folders: list[str] = []
    for i in evenly(len(images), _MOST_IMAGES).tolist():
        try:
            pixels = detector.on_scale(images.decoded(i), images.ids[i], images.reading.white)
        except DataError:  # it was named when the detector was fitted
            continue
        looks.append(look_of(pixels))
        folders.append(PurePosixPath(images.ids[i]).parent.name)
    detector.baseline_ = image_baseline(looks, folders)
