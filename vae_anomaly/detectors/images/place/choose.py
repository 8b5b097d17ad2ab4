"""Parts that move, on a background that does not matter: what the training pictures say of both.

Both are off unless asked for. Reference and mask are made from at most 64 training pictures, the
held-out ones among them: like the scales of maps they are averages, and each picture's own share in
them is small.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.networks.bank import Inspection
from vae_anomaly.detectors.images.place.foreground import Foreground, find_foreground
from vae_anomaly.detectors.images.place.registration import Registration, shift_maps
from vae_anomaly.errors import ImageError

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.image_list import Pictures


_PROBES: Final = 64

logger = logging.getLogger(__name__)


def choose_registration(
    pictures: Pictures, size: int, channels: int, how: str
) -> Registration | None:
    """Return the reference that pictures are moved to; None where they stay as they are.

    Parameters
    ----------
    pictures : Pictures
        Of good parts.
    size : int, pixels
    channels : {1, 3}
    how : {"off", "auto", "shift"}
        "auto" asks the pictures whether moving helps.
    """
    if how == "off":
        return None
    probes = _probes(pictures, size, channels).mean(axis=3)
    found = Registration.fit(probes)
    if how == "auto" and not found.is_worthwhile(probes):
        logger.info("The parts lie still, or have nothing to align by: pictures are not moved.")
        return None
    return found


def choose_foreground(pictures: Pictures, size: int, channels: int, how: str) -> Foreground | None:
    """Return the pixels that show the part; None where all of them count."""
    if how == "off":
        return None
    found = find_foreground(_probes(pictures, size, channels))
    if found is None:
        logger.warning(
            "foreground='auto': the background is not clearly uniform, so all of the picture "
            "counts. Light the border of the picture evenly, or leave foreground='off'."
        )
    return found


def masked(heat: Floats32, foreground: Foreground | None) -> Floats32:
    """Return maps (N, G, G) with 0 outside of the foreground."""
    if foreground is None:
        return heat
    return np.where(foreground.cells(heat.shape[1]), heat, np.float32(0.0))


def masked_inspection(said: Inspection, foreground: Foreground | None) -> Inspection:
    """Return what a network says, its maps 0 outside of the foreground."""
    if foreground is None:
        return said
    heat, scored = (
        torch.from_numpy(masked(maps.numpy(), foreground)) for maps in (said.heat, said.scored)
    )
    return replace(said, heat=heat, scored=scored)


def moved_back(heat: Floats32, pictures: Pictures) -> Floats32:
    """Return maps (N, G, G) of registered pictures where the pictures themselves lie."""
    if pictures.registration is None:
        return heat
    return shift_maps(heat, np.array([pictures.shifts[i] for i in range(len(pictures))]))


def _probes(pictures: Pictures, size: int, channels: int) -> Floats32:
    """Return some of the pictures, (n, size, size, channels), at equal distances."""
    places = np.unique(np.linspace(0, len(pictures) - 1, _PROBES).astype(int))
    found = []
    for i in places.tolist():
        try:
            found.append(pictures.prepared(i, size, channels))
        except ImageError:
            continue  # reported with its name when all are read
    if not found:
        pictures.prepared(0, size, channels)  # raises what is wrong with it
    return np.stack(found)
