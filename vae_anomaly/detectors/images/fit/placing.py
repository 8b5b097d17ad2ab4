"""Parts that move, on a background that does not matter: what the training images say of both.

Both are off unless asked for. Reference and mask are made from at most 64 training images, the
held-out ones among them: like the scales of maps they are averages, and each image's own share in
them is small.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.image_list import ImageList, decide_channels, decide_white
from vae_anomaly.detectors.images.place.foreground import Foreground, find_foreground
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.images.place.registration import (
    Refinement,
    Registration,
    coarse_shift,
    window_of,
)
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.errors import DataError, ImageError

_PROBES: Final = 64
_WINDOWS: Final = 16  # images whose window is the reference of a refinement

logger = logging.getLogger(__name__)


def place_images(images: ImageList, side: int, settings: ImageSettings) -> tuple[ImageList, int]:
    """Return images with the placing that they show at the size ``side``, and their channels."""
    placing = Placing(white=decide_white(images))
    images = replace(images, placing=placing)
    channels = settings.channels or decide_channels(images)
    registration = choose_registration(images, side, channels, settings.register)
    placing = replace(placing, registration=registration)
    images = replace(images, placing=placing)
    if settings.tile_size is not None and registration is not None:
        placing = replace(placing, refinement=choose_refinement(images, registration, channels))
    foreground = choose_foreground(images, side, channels, settings.foreground)
    return replace(images, placing=replace(placing, foreground=foreground)), channels


def choose_registration(
    images: ImageList, size: int, channels: int, how: str
) -> Registration | None:
    """Return the reference that images are moved to; None where they stay as they are.

    Parameters
    ----------
    images : ImageList
        Of good parts.
    size : int, pixels
    channels : {1, 3}
    how : {"off", "auto", "shift"}
        "auto" asks the images whether moving helps.
    """
    if how == "off":
        return None
    probes = _probes(images, size, channels).mean(axis=3)
    registration = Registration.fit(probes)
    if how == "auto" and not registration.is_worthwhile(probes):
        logger.info("The parts lie still, or have nothing to align by: images are not moved.")
        return None
    return registration


def choose_foreground(images: ImageList, size: int, channels: int, how: str) -> Foreground | None:
    """Return the pixels that show the part; None where all of them count."""
    if how == "off":
        return None
    foreground = find_foreground(_probes(images, size, channels))
    if foreground is None:
        logger.warning(
            "foreground='auto': the background is not clearly uniform, so all of the image "
            "counts. Light the border of the image evenly, or leave foreground='off'."
        )
    return foreground


def choose_refinement(
    images: ImageList, registration: Registration, channels: int
) -> Refinement | None:
    """Return what a window of the large images shows; None where they are small.

    At most 16 images of one size, decoded one at a time, make the reference.
    """
    reduced = len(registration.reference)
    windows: list[Floats32] = []
    size, corner, side = (0, 0), (0, 0), 0
    for i in evenly(len(images), _WINDOWS).tolist():
        try:
            pixels = images.pixels(i)
            if not windows:
                size = pixels.shape[:2]
                corner, side = window_of(registration, size)
            if pixels.shape[:2] == size:
                shift = coarse_shift(registration, pixels, channels)
                windows.append(Refinement.cut(pixels, corner, side, shift))
        except DataError:
            continue  # reported with its name when all are read
    if max(size) <= reduced:
        return None
    return Refinement(Registration.fit(np.stack(windows)), corner, size, reduced)


def _probes(images: ImageList, size: int, channels: int) -> Floats32:
    """Return some of the images, (n, size, size, channels), at equal distances."""
    probes = []
    for i in evenly(len(images), _PROBES).tolist():
        try:
            probes.append(images.prepared(i, size, channels))
        except ImageError:
            continue  # reported with its name when all are read
    if not probes:
        images.prepared(0, size, channels)  # raises what is wrong with it
    return np.stack(probes)
