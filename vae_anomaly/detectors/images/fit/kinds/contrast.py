"""How strongly a defect must differ so that a person sees it: one rule for all products.

A mark of a given brightness is plain on polished metal and invisible on gravel. So the contrast of
a synthetic defect is a multiple of the noise around it, and never below what shows at a glance on
a smooth surface.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from vae_anomaly.arrays import Floats32

NOISE_MULTIPLE: Final = 10.0
"""Contrast of a defect, in sd of the fine texture around it."""

LEAST_CONTRAST: Final = 80.0 / 255.0
"""Contrast on a surface without texture: 80 grey levels of 256."""

FAINTEST: Final = 20.0 / 255.0
"""Contrast on images that have hardly any themselves."""

_FINE: Final = 2.0  # pixels; what is slower is shading, not noise
_MEDIAN_TO_SD: Final = 1.4826
_STEP: Final = 8  # of the pixels that tell the range of an image


def visible_contrast(noise: float, extent: float = 1.0) -> float:
    """Return the brightness by which a defect differs where the fine texture has this sd.

    `NOISE_MULTIPLE` times the noise; at least `LEAST_CONTRAST`, or the ``extent`` of the image
    where that is less, but never below `FAINTEST`; at most half of the range.
    """
    least = max(min(LEAST_CONTRAST, extent), FAINTEST)
    return min(max(NOISE_MULTIPLE * noise, least), 0.5)


def brightness_extent(image: Floats32) -> float:
    """Return how far the darkest and the brightest hundredth of an image (H, W, C) are apart."""
    low, high = np.percentile(image[::_STEP, ::_STEP].mean(axis=2), [1, 99])
    return float(high - low)


def fine_noise(part: Floats32) -> float:
    """Return the sd of the fine texture of a part (h, w, C), by its median: edges do not count."""
    light = part.mean(axis=2)
    fine = light - ndimage.gaussian_filter(light, _FINE, truncate=2.0)
    return float(_MEDIAN_TO_SD * np.median(np.abs(fine[::2])))


def with_room(level: float, contrast: float, sign: float) -> float:
    """Return the signed contrast; turned round where the brightness range ends before it."""
    room = 1.0 - level if sign > 0 else level
    other = level if sign > 0 else 1.0 - level
    return sign * contrast if room >= contrast or room >= other else -sign * contrast
