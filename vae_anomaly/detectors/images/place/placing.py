"""Where an image lies, and what of it counts: found in training, done to every image after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Floats32
from vae_anomaly.data.images.resize import FULL_SCALE
from vae_anomaly.detectors.images.place.foreground import Foreground
from vae_anomaly.detectors.images.place.registration import Refinement, Registration, Shift


@dataclass(frozen=True)
class Placing:
    """What is done to an image before a network sees it.

    Parameters
    ----------
    white : int
        Of images of more than 8 bits, the value that is white; see
        `vae_anomaly.data.images.resize`.
    registration : Registration, optional
        Moves each image to a reference.
    refinement : Refinement, optional
        Looks again, at full resolution, at the shift of a large image.
    foreground : Foreground, optional
        Paints over the background after that.
    """

    white: int = FULL_SCALE
    registration: Registration | None = None
    refinement: Refinement | None = None
    foreground: Foreground | None = None

    def __call__(self, image: Floats32) -> tuple[Floats32, Shift]:
        """Return a resized image (S, S, C) where the others lie, painted, and how it was moved."""
        shift = (0, 0)
        if self.registration is not None:
            image, shift = self.registration(image)
        return image if self.foreground is None else self.foreground(image), shift

    def masked(self, maps: Floats32) -> Floats32:
        """Return maps (N, G, G) with 0 outside of the foreground."""
        if self.foreground is None:
            return maps
        return np.where(self.foreground.cells(maps.shape[1]), maps, np.float32(0.0))
