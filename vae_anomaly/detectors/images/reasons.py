"""What is unusual about an image: regions at its own size, as a table and in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.conditions import unseen_reason
from vae_anomaly.detectors.images.examination import ImageExamination
from vae_anomaly.detectors.images.heatmaps import Region, regions_at, resize_heat
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.model import ImageModel
from vae_anomaly.metrics import is_flagged

Regions = Sequence[Sequence[Region]]

_PLACE_FROM: Final = 3.0
"""Surprise, in nats, from which the hottest cells of a map are a place to look at: p = 5 %."""

_AT_ONCE: Final = 32  # images whose maps are held


def region_table(ids: Sequence[str], regions: Regions) -> pd.DataFrame:
    """Return one row for each region, the hottest of each image first."""
    rows = [
        {"id": name, "rank": rank, **asdict(region)}
        for name, of_image in zip(ids, regions, strict=True)
        for rank, region in enumerate(of_image, start=1)
    ]
    return pd.DataFrame(rows, columns=["id", "rank", *Region.__dataclass_fields__])


def reasons_of(
    examination: ImageExamination,
    model: ImageModel,
    threshold: float,
    regions: Regions | None = None,
) -> list[list[str]]:
    """Say what is unusual about each image, the strongest first.

    A condition that is none of those seen in training comes first. Above the threshold, an anomaly
    score, an image is flagged; then it has a reason. Whoever has asked `regions_of` at the model's
    level gives what it said.
    """
    images = examination.images
    if regions is None:
        regions = regions_of(examination, model.heat_level)
    unseen = [
        [] if given in model.conditions else [unseen_reason(given, taken)]
        for given, taken in zip(images.conditions, examination.judged_as, strict=False)
    ] or [[]] * len(images)
    flagged = is_flagged(examination.anomaly_score, threshold)
    whole = examination.whole
    reasons = []
    for i, of_image in enumerate(regions):
        places = _places(examination, i, of_image)
        if flagged[i] and not places:
            places = _fine_reason(examination, i) or _score_map_reason(
                examination, i, images.shape(i)
            )
        first = bool(whole.leads[i])
        alone = bool(flagged[i] and whole.is_alone[i])
        said = [whole.words[i]] if alone or whole.is_notable[i] else []
        reasons.append([*unseen[i], *_in_order(said, places, whole_first=first)])
    return reasons


def _places(examination: ImageExamination, i: int, regions: Sequence[Region]) -> list[str]:
    """Say of each region of image ``i`` where it is; of one with fine detail, what that is."""
    fine, said = examination.fine, [_region_reason(region) for region in regions]
    if fine is None or not said or not fine.is_heard(i):
        return said
    size = examination.images.shape(i)
    x, y = fine.centre(i, size)
    return [
        f"{reason}: {fine.words(i, size)}" if _contains(region, x, y) else reason
        for reason, region in zip(said, regions, strict=True)
    ]


def _contains(region: Region, x: float, y: float) -> bool:
    return region.left <= x < region.right and region.top <= y < region.bottom


def _fine_reason(examination: ImageExamination, i: int) -> list[str]:
    """Say what the fine detail of image ``i`` is and where, if it has a part in the score."""
    fine = examination.fine
    if fine is None or not fine.is_heard(i):
        return []
    size = examination.images.shape(i)
    x, y = fine.centre(i, size)
    return [f"{fine.words(i, size)} near x {x:.0f}, y {y:.0f}; the heatmap has nothing to outline"]


def _score_map_reason(examination: ImageExamination, i: int, size: tuple[int, int]) -> list[str]:
    """Say what the score map holds against image ``i``, of (height, width) ``size``.

    For an image that is flagged although its heatmap has no region.
    """
    hottest_cells = examination.evidence.filter(like="heat_top").to_numpy()[i, 0]
    if hottest_cells < _PLACE_FROM and examination.whole.is_alone[i]:
        return []
    if hottest_cells < _PLACE_FROM:
        return ["differs a little over much of the image, nowhere enough to be outlined"]
    score_map = examination.score_map[i]
    rows, columns = score_map.shape
    row, column = (int(k) for k in np.unravel_index(score_map.argmax(), score_map.shape))
    (top, bottom), (left, right) = _span(row, rows, size[0]), _span(column, columns, size[1])
    return [
        f"differs most at x {left}-{right}, y {top}-{bottom}, where the scored map reaches "
        f"{score_map.max():.1f} sd; the heatmap has nothing to outline"
    ]


def _span(cell: int, cells: int, pixels: int) -> tuple[int, int]:
    """Return the pixels that a cell covers, the second exclusive."""
    return cell * pixels // cells, max(cell * pixels // cells + 1, (cell + 1) * pixels // cells)


def _region_reason(region: Region) -> str:
    return (
        f"differs at x {region.left}-{region.right}, y {region.top}-{region.bottom} "
        f"({_percent(region.area_share)} % of the image), up to {region.peak:.1f} sd"
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.2g}" if share < 0.995 else "100"


def _in_order(whole: list[str], local: list[str], *, whole_first: bool) -> list[str]:
    return whole + local if whole_first else local[:1] + whole + local[1:]


def regions_of(examination: ImageExamination, level: float) -> list[list[Region]]:
    """Return boxes of what is hotter than ``level``, in pixels of each image, hottest first."""
    images, heatmaps = examination.images, examination.heatmap
    return [
        regions_at(heatmaps[i], images.shape(i), level)
        if heatmaps[i].max() > level  # no map grows hotter than its cells: most images are cool
        else []
        for i in range(len(images))
    ]


def maps_at_own_size(
    images: ImageList, examine: Callable[[ImageList], ImageExamination]
) -> Iterator[Floats32]:
    """Yield the heatmap of each image at the image's own size, one at a time."""
    for start in range(0, len(images), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(images)))
        heatmaps = examine(images.take(rows)).heatmap
        for i, heatmap in zip(rows.tolist(), heatmaps, strict=True):
            yield resize_heat(heatmap[None], images.shape(i))[0]
