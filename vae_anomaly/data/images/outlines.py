"""Where an image is defective, as far as its mask says so and may be believed."""

from __future__ import annotations

import numpy as np

from vae_anomaly.arrays import Bools
from vae_anomaly.data.images.decode import ImageLimits
from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.data.images.masks import read_mask
from vae_anomaly.errors import ImageError


def outline_of(item: ImageItem, limits: ImageLimits | None = None) -> Bools | None:
    """Return where an image is defective, upright; None where nobody has drawn it.

    Of a good image without a mask it is one cell that is not defective.

    Raises
    ------
    ImageError
        As `read_mask`; where it cannot be told which mask it is (mask_unclear); and where mask and
        label contradict each other (mask_blank, mask_on_good).
    """
    if item.is_anomaly and item.mask_fault:
        raise ImageError(f"{item.mask_fault}. Keep the right one.", code="mask_unclear")
    if item.mask is None:
        return None if item.is_anomaly is not False else np.zeros((1, 1), np.bool_)
    outline = read_mask(item.mask, item.path, limits=limits)
    if item.is_anomaly and not outline.any():
        raise ImageError(
            f"{item.mask} is blank, and its image is defective. Draw the defect.", code="mask_blank"
        )
    if item.is_anomaly is False and outline.any():
        raise ImageError(
            f"{item.mask} has a defect, and its image lies among good ones. Move the image, or "
            "delete the mask.",
            code="mask_on_good",
        )
    return outline
