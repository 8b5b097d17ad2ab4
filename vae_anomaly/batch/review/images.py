"""Which images of a run are kept for reviewers, and when what is shown of them is made.

The small copy is made while the pixels are at hand. What was flagged is written out at once; of the
others, of which most are pushed out again, only what is kept to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vae_anomaly.arrays import Floats32
from vae_anomaly.batch.plan import SourceFile
from vae_anomaly.batch.review.drawings import shrunk
from vae_anomaly.batch.review.shown import expected_images, shown_image, shown_item
from vae_anomaly.batch.review.store import ReviewKeeper
from vae_anomaly.data.images.decode import Pixels
from vae_anomaly.detectors.images.reasons import regions_of
from vae_anomaly.detectors.judged import N_REASONS, JudgedImages
from vae_anomaly.names import spelled
from vae_anomaly.reports.facts.items import THUMBNAIL_SIDE, ReviewItem
from vae_anomaly.scoring.judging import Fault, all_at_once

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.examination import ImageExamination
    from vae_anomaly.detectors.images.heatmaps import Region
    from vae_anomaly.detectors.protocol import ImageDetector


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


def keep_images(
    keeper: ReviewKeeper,
    scored: Sequence[ScoredImage],
    judged: JudgedImages,
    detector: ImageDetector,
    drawn: Sequence[str | None],
) -> list[Fault | None]:
    """Offer images that were judged together, and hand in those that are kept.

    ``drawn`` names the overlay of each, where there is one. Returned is the fault of each image
    that memory does not suffice for as it is explained; it is not kept.
    """
    faults: list[Fault | None] = [None] * len(scored)
    chosen = keeper.offer(
        [one.file.id for one in scored],
        [one.score for one in scored],
        [one.is_anomaly for one in scored],
    )
    by_place = {scored[i].place: i for i in chosen}

    def keep(places: Sequence[int]) -> list[None]:
        for group, examination in judged.examined(places):
            _keep(
                keeper, [by_place[place] for place in group], scored, examination, detector, drawn
            )
        return [None] * len(places)

    for place, answer in zip(by_place, all_at_once(list(by_place), keep), strict=True):
        if isinstance(answer, Fault):
            faults[by_place[place]] = answer
            keeper.forget(scored[by_place[place]].file.id)
    return faults


def _keep(
    keeper: ReviewKeeper,
    group: Sequence[int],
    scored: Sequence[ScoredImage],
    examination: ImageExamination,
    detector: ImageDetector,
    drawn: Sequence[str | None],
) -> None:
    regions = regions_of(examination, detector.heat_level_)
    reasons = detector.reasons_of(examination, N_REASONS, regions)
    expected = _expected([scored[i] for i in group], examination, detector)
    for k, i in enumerate(group):
        one, why = scored[i], tuple(reasons[k])
        made = _maker(one, detector, regions[k], why, expected.get(k), drawn[i])
        keeper.keep(one.file.id, made() if one.is_anomaly else made)


def _maker(
    one: ScoredImage,
    detector: ImageDetector,
    regions: Sequence[Region],
    reasons: tuple[str, ...],
    expected: str | None,
    drawn: str | None,
) -> Callable[[], ReviewItem]:
    """Return what makes an item: its image is small by then, and becomes text as it is made."""
    name = one.file.id
    item = shown_item(detector, name, one.score, one.p_value, is_anomaly=one.is_anomaly)
    small, heat = shrunk(one.pixels, THUMBNAIL_SIDE), one.heat.copy()
    size = one.pixels.shape[0], one.pixels.shape[1]
    level, source = detector.heat_level_, spelled(one.file.origin)

    def made() -> ReviewItem:
        image = shown_image(
            name, small, heat, regions, size=size, level=level, source=source,
            reconstruction=expected, drawn=drawn,
        )  # fmt: skip
        return replace(item, reasons=reasons, image=image)

    return made


def _expected(
    scored: Sequence[ScoredImage], examination: ImageExamination, detector: ImageDetector
) -> dict[int, str | None]:
    """Return by its place what the model expected in place of each flagged image."""
    flagged = [k for k, one in enumerate(scored) if one.is_anomaly]
    images = examination.images.take(np.array(flagged, np.int64))
    return dict(zip(flagged, expected_images(detector, images), strict=True))
