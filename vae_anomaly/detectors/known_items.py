"""Which items a fitted model knows from its training, as far as it remembers them.

A model keeps no list of what it was trained on. A table's keeps rows to compare with: up to some
ten thousand all of them, of longer tables a summary. One of images keeps the latents of at most
2,000 images. What equals one of these, to the digit, was in the training, or repeats by nature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from vae_anomaly.arrays import Bools, Floats32
from vae_anomaly.detectors.judged import row_faults
from vae_anomaly.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from vae_anomaly.data.images.decode import ImageReading
    from vae_anomaly.detectors.protocol import ImageDetector, TableDetector

_CLOSE: Final = 1e-4  # in sd: latents of one image agree so far, on any processor
_BLOCK: Final = 8192


def known_rows(detector: TableDetector, frame: pd.DataFrame) -> Bools:
    """Tell which rows equal one that the model remembers, (N,); those with faults do not."""
    fine = np.flatnonzero([fault is None for fault in row_faults(detector, frame)])
    known = np.zeros(len(frame), np.bool_)
    for start in range(0, len(fine), _BLOCK):
        places = fine[start : start + _BLOCK]
        view = detector.examine(frame.iloc[places]).main
        nearest = view.model.data.vectors[view.near.data.index[:, 0]]
        known[places] = np.all(nearest == view.viewed, axis=1)
    return known


def known_images(
    detector: ImageDetector, items: Sequence[object], reading: ImageReading | None = None
) -> Bools | None:
    """Tell which images lie where a training image does, (N,); None of a model without latents.

    Images that cannot be read are not known.
    """
    kept = detector.latents_
    if kept is None:
        return None
    unit = kept.std(axis=0) + 1e-12
    known = np.zeros(len(items), np.bool_)
    for place, item in enumerate(items):
        mean = _mean(detector, item, reading)
        if mean is not None:
            known[place] = (np.abs(kept - mean) < _CLOSE * unit).all(axis=1).any()
    return known


def _mean(detector: ImageDetector, item: object, reading: ImageReading | None) -> Floats32 | None:
    from vae_anomaly.detectors.images.image_list import open_images

    try:
        listed = open_images([item], condition=detector.condition, reading=reading)
        return np.asarray(detector.transform(listed)[0], np.float32)
    except DataError:
        return None
