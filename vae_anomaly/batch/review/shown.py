"""Items as pages show them: of images small ones with map, outlines and regions, all of it as text.

Runs, inspections and model pages make them here, each with images of the side that it has room for.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from vae_anomaly.arrays import AnyArray, Floats32
from vae_anomaly.batch.review.drawings import shrunk
from vae_anomaly.batch.review.outlines import shown_contours
from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, Region, resize_heat
from vae_anomaly.reports.facts.items import (
    MAP_SIDE,
    THUMBNAIL_SIDE,
    ReviewItem,
    ShownImage,
    ShownRegion,
)
from vae_anomaly.thresholds.record import score_in_words

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.image_list import ImageList
    from vae_anomaly.detectors.protocol import AnyDetector, ImageDetector

MOST_REGIONS: Final = 12  # of an image
_QUALITY: Final = 80
_QUICK: Final = 1  # of WebP's methods: a sixth larger than the usual one in a third of the time


def shown_item(
    detector: AnyDetector, name: str, score: float, p_value: float, *, is_anomaly: bool
) -> ReviewItem:
    """Return what is known of an item by its verdict alone, without image, row and reasons."""
    known, noun = detector.probability_, "images" if detector.kind == "image" else "rows"
    return ReviewItem(
        id=name,
        score=score,
        p_value=p_value,
        is_anomaly=is_anomaly,
        roles=(),
        draw=0.0,
        words=score_in_words(score, p_value, detector.calibration_.n, noun),
        probability=None if known is None else float(known.predict([score])[0]),
    )


def shown_image(
    name: str,
    small: Image.Image,
    heat: Floats32,
    regions: Sequence[Region],
    *,
    size: tuple[int, int],
    level: float,
    source: str = "",
    reconstruction: str | None = None,
    drawn: str | None = None,
) -> ShownImage:
    """Return an image as pages show it.

    Parameters
    ----------
    name : str
        Its id, a path below the input.
    small : Image
        As `shrunk` makes it.
    heat : ndarray of shape (h, w), sd of held-out normals
        Of any size.
    regions : sequence of Region
        The hottest first; the first `MOST_REGIONS` are shown.
    size : (int, int), pixels
        Height and width of the image itself.
    level : float, sd
        Above it a region begins.
    source : str
        The path that it was read from.
    reconstruction, drawn : str, optional
        What the model expected, and the overlay that was drawn.
    """
    height, width = size
    return ShownImage(
        folder=name.rpartition("/")[0],
        source=source,
        width=width,
        height=height,
        thumbnail=written_image(small),
        heat=_grey_map(heat, size),
        contours=shown_contours(heat, level, (small.height, small.width)),
        regions=tuple(ShownRegion(**asdict(region)) for region in regions[:MOST_REGIONS]),
        level=level,
        reconstruction=reconstruction,
        heatmap_file=drawn,
    )


def expected_images(
    detector: ImageDetector, images: ImageList, side: int = THUMBNAIL_SIDE
) -> list[str | None]:
    """Return what the model expected in place of each image, its longer side at most ``side``.

    None of the filter bank's: it explains energies of filters, of which a blur can be shown.
    """
    if detector.model == "bank" or not len(images):
        return [None] * len(images)
    expected = detector.reconstruct(images)
    return [written_image(shrunk(np.clip(image, 0.0, 1.0), side)) for image in expected]


def written_image(image: Image.Image) -> str:
    """Return an image as WebP in base64."""
    return _encoded(image, "WEBP", quality=_QUALITY, method=_QUICK)


def _grey_map(heat: Floats32, size: tuple[int, int]) -> str:
    """Return a map as grey PNG in the shape of its image, 0 to 255 over the scale of colours."""
    scale = MAP_SIDE / max(size)
    height, width = (max(1, round(side * scale)) for side in size)
    low, high = HEAT_RANGE
    share = np.clip((resize_heat(heat[None], (height, width))[0] - low) / (high - low), 0.0, 1.0)
    grey: AnyArray = np.rint(255.0 * share).astype(np.uint8)
    return _encoded(Image.fromarray(grey), "PNG")


def _encoded(image: Image.Image, form: str, **options: int) -> str:
    file = io.BytesIO()
    image.save(file, form, **options)
    return b64encode(file.getvalue()).decode()
