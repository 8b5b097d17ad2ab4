"""Keep in a trained detector what its inputs looked like: nights are compared with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import pandas as pd

from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.image_list import ImageList, open_images
from vae_anomaly.errors import DataError
from vae_anomaly.monitoring.columns import table_baseline
from vae_anomaly.monitoring.looks import ImageLook, image_baseline, look_of
from vae_anomaly.storage.addresses import copies_folder

if TYPE_CHECKING:
    from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector

_MOST_IMAGES: Final = 512


def keep_table_baseline(detector: TabularVAEDetector, rows: pd.DataFrame) -> None:
    """Describe the rows that a detector was fitted to, before it is saved.

    Jobs and commands do so themselves.
    """
    detector.baseline_ = table_baseline(detector.schema_.cast(rows), detector.schema_)


def keep_image_baseline(detector: ImageVAEDetector, images: object) -> None:
    """Describe the images that a detector was fitted to, at most 512 at equal distances.

    Parameters
    ----------
    images : ImageList, or whatever ``fit`` takes
    """
    images = images if isinstance(images, ImageList) else open_images(images)
    looks: list[ImageLook] = []
    folders: list[str] = []
    for i in evenly(len(images), _MOST_IMAGES).tolist():
        try:
            pixels = detector.on_scale(images.decoded(i), images.ids[i], images.reading.white)
        except DataError:  # it was named when the detector was fitted
            continue
        looks.append(look_of(pixels))
        folders.append(PurePosixPath(images.ids[i]).parent.name)
    detector.baseline_ = replace(image_baseline(looks, folders), until=_last_day(images))


def _last_day(images: ImageList) -> str | None:
    """Return the day when the last file of images was written; None where a copy hides it."""
    here = copies_folder()
    files = [one for one in images.sources if isinstance(one, Path)]
    if not files or any(file.is_relative_to(here) for file in files):
        return None
    last = max(file.stat().st_mtime for file in files)
    return f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d}"
