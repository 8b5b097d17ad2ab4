"""Held-out images with the maps that networks made which had not seen them: the strangest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.held_out import HeldOut
from vae_anomaly.detectors.images.examination import ImageExamination, examine
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.model import ImageModel
from vae_anomaly.detectors.images.place.registration import shift_maps
from vae_anomaly.scoring.conformal import ConformalCalibration


@dataclass(frozen=True)
class HeldOutImages(HeldOut):
    """Held-out images, and the maps of the strangest.

    Parameters
    ----------
    maps : ndarray of shape (k, G, G), float32
        Of those that `strangest` names, in sd of held-out normals, where the parts were placed;
        (k, 1, 1) of tiles, of which no map is kept.
    """

    maps: Floats32


def held_out_images(judged: HeldOut, maps: Floats32) -> HeldOutImages:
    """Keep the maps (m, G, G) of the strangest of m images."""
    kept = np.ascontiguousarray(maps[judged.strangest()])
    return HeldOutImages(judged.places, judged.raw_score, judged.groups, kept)


def examine_strangest(
    held: HeldOutImages,
    images: ImageList,
    model: ImageModel,
    calibration: ConformalCalibration,
    device: str = "cpu",
) -> ImageExamination:
    """Look at the strangest training images as they were judged when they were held out.

    Score and heatmap are those; what is said of the whole image, and the maps of tiles, are the
    fitted model's.

    Parameters
    ----------
    images : ImageList
        All that was trained on, in the order of the fit.
    """
    chosen = held.strangest()
    shown = replace(images.take(held.places[chosen]), placing=model.placing, shifts={})
    seen = examine(model, calibration, shown, device)
    raw, maps = held.raw_score[chosen], held.maps
    if maps.shape != seen.heatmap.shape:
        maps = seen.heatmap
    elif model.placing.registration is not None:
        maps = shift_maps(maps, np.array([shown.shifts[i] for i in range(len(shown))]))
    return replace(
        seen,
        raw_score=raw,
        anomaly_score=calibration.anomaly_score(raw),
        p_value=calibration.p_value(raw),
        heatmap=maps,
    )
