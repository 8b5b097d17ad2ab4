"""What is kept of an image: small, with its map, outlines and regions, all of it as text.

The small copy is made while the pixels are at hand. What was flagged is written out at once; of the
others, of which most are pushed out again, only what is kept to the end.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from vae_anomaly.arrays import AnyArray, Floats32
from vae_anomaly.batch.drawings import shrunk
from vae_anomaly.batch.plan import SourceFile
from vae_anomaly.batch.review.outlines import shown_contours
from vae_anomaly.batch.review.store import ReviewKeeper
from vae_anomaly.data.images.decode import Pixels
from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, Region, resize_heat
from vae_anomaly.detectors.images.reasons import regions_of
from vae_anomaly.detectors.judged import N_REASONS, JudgedImages
from vae_anomaly.names import spelled
from vae_anomaly.reports.facts.items import (
    MAP_SIDE,
    THUMBNAIL_SIDE,
    ReviewItem,
    ShownImage,
    ShownRegion,
)
from vae_anomaly.thresholds.record import score_in_words

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.examination import ImageExamination
    from vae_anomaly.detectors.protocol import ImageDetector

MOST_REGIONS: Final = 12  # of an image
_QUALITY: Final = 80
_QUICK: Final = 1  # of WebP's methods: a sixth larger than the usual one in a third of the time


@dataclass(frozen=True)
class ScoredImage:
    """One image and what the detector found.

    Parameters
    ----------
    pixels : Pixels
        On the scale that the model sees.
    place : int
        Among the images that were judged together.
    """

    file: SourceFile
    pixels: Pixels
    heat: Floats32
    score: float
    p_value: float
    is_anomaly: bool
    place: int


@dataclass(frozen=True)
class _Kept:
    """An item that waits to be written: all but what takes time."""

    item: ReviewItem
    image: ShownImage
    small: Image.Image
    heat: Floats32

    def written(self) -> ReviewItem:
        """Return the item with its images as text."""
        small, image = self.small, self.image
        shown = replace(
            image,
            thumbnail=_webp(small),
            heat=_grey_map(self.heat, (image.height, image.width)),
            contours=shown_contours(self.heat, image.level, (small.height, small.width)),
        )
        return replace(self.item, image=shown)


def keep_images(
    keeper: ReviewKeeper,
    scored: Sequence[ScoredImage],
    judged: JudgedImages,
    detector: ImageDetector,
    drawn: Sequence[str | None],
) -> None:
    """Offer images that were judged together, and hand in those that are kept.

    ``drawn`` names the overlay of each, where there is one.
    """
    chosen = keeper.offer(
        [one.file.id for one in scored],
        [one.score for one in scored],
        [one.is_anomaly for one in scored],
    )
    by_place = {scored[i].place: i for i in chosen}
    for places, examination in judged.examined(list(by_place)):
        group = [by_place[place] for place in places]
        reasons = detector.reasons_of(examination, N_REASONS)
        regions = regions_of(examination, detector.heat_level_)
        expected = _expected([scored[i] for i in group], examination, detector)
        for k, i in enumerate(group):
            shown = _shown(scored[i], regions[k], detector.heat_level_, expected.get(k), drawn[i])
            item = _item(scored[i], tuple(reasons[k]), detector)
            small = shrunk(scored[i].pixels, THUMBNAIL_SIDE)
            kept = _Kept(item, shown, small, scored[i].heat.copy())
            keeper.keep(item.id, kept.written() if item.is_anomaly else kept.written)


def _item(one: ScoredImage, reasons: tuple[str, ...], detector: ImageDetector) -> ReviewItem:
    """Return an item without its image."""
    known = detector.probability_
    return ReviewItem(
        id=one.file.id,
        score=one.score,
        p_value=one.p_value,
        is_anomaly=one.is_anomaly,
        roles=(),
        draw=0.0,
        words=score_in_words(one.score, one.p_value, detector.calibration_.n, "images"),
        reasons=reasons,
        probability=None if known is None else float(known.predict([one.score])[0]),
    )


def _shown(
    one: ScoredImage,
    regions: Sequence[Region],
    level: float,
    expected: str | None,
    drawn: str | None,
) -> ShownImage:
    """Return what is shown of an image, but for what `_Kept.written` adds."""
    height, width = one.pixels.shape[:2]
    return ShownImage(
        folder=one.file.id.rpartition("/")[0],
        source=spelled(one.file.path),
        width=width,
        height=height,
        thumbnail="",
        heat="",
        contours=(),
        regions=tuple(ShownRegion(**asdict(region)) for region in regions[:MOST_REGIONS]),
        level=level,
        reconstruction=expected,
        heatmap_file=drawn,
    )


def _expected(
    scored: Sequence[ScoredImage], examination: ImageExamination, detector: ImageDetector
) -> dict[int, str]:
    """Return by its place what the model expected in place of each flagged image.

    None of the filter bank's: it explains energies of filters, of which a blur can be shown.
    """
    flagged = [k for k, one in enumerate(scored) if one.is_anomaly]
    if detector.model == "bank" or not flagged:
        return {}
    images = detector.reconstruct(examination.images.take(np.array(flagged)))
    return {
        k: _webp(shrunk(np.clip(image, 0.0, 1.0), THUMBNAIL_SIDE))
        for k, image in zip(flagged, images, strict=True)
    }


def _grey_map(heat: Floats32, size: tuple[int, int]) -> str:
    """Return a map as grey PNG in the shape of its image, 0 to 255 over the scale of colours."""
    scale = MAP_SIDE / max(size)
    height, width = (max(1, round(side * scale)) for side in size)
    low, high = HEAT_RANGE
    share = np.clip((resize_heat(heat[None], (height, width))[0] - low) / (high - low), 0.0, 1.0)
    return _encoded(np.rint(255.0 * share).astype(np.uint8))


def _encoded(grey: AnyArray) -> str:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def _webp(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=_QUICK)
    return b64encode(file.getvalue()).decode()
