"""What is strange about a picture, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vae_anomaly.detectors.images.heatmaps import Region
from vae_anomaly.detectors.images.score import GLOBAL_FROM

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.examination import ImageExamination

    Regions = Sequence[Sequence[Region]]

_MANY: Final = 1000
_PLACE_FROM: Final = 3.0
"""Surprise, in nats, from which the hottest cells of a map are a place to look at: p = 5 %."""


def region_table(ids: Sequence[str], regions: Regions) -> pd.DataFrame:
    """Return one row for each region, the hottest of each picture first."""
    rows = [
        {"id": name, "rank": rank, **asdict(region)}
        for name, found in zip(ids, regions, strict=True)
        for rank, region in enumerate(found, start=1)
    ]
    return pd.DataFrame(rows, columns=["id", "rank", *Region.__dataclass_fields__])


def words(
    evidence: pd.DataFrame,
    regions: Regions,
    first: Sequence[Sequence[str]],
    cool: Sequence[list[str]],
) -> list[list[str]]:
    """Say what is strange about each picture, the strongest first.

    Parameters
    ----------
    evidence : DataFrame of N rows
    regions : N sequences of Region
    first : N sequences of str
        What is to be said before anything else.
    cool : N lists of str
        What is to be said of a picture without a region.
    """
    whole = evidence["whole_picture"].to_numpy()
    local = evidence.filter(like="heat_top").sum(axis=1).to_numpy()
    return [
        [
            *first[i],
            *_in_order(
                _whole_reason(whole[i]),
                [_region_reason(r) for r in found] or cool[i],
                whole_first=whole[i] - GLOBAL_FROM > local[i],
            ),
        ]
        for i, found in enumerate(regions)
    ]


def scored_reason(seen: ImageExamination, i: int, size: tuple[int, int]) -> list[str]:
    """Say what the scored map holds against picture ``i``, of (height, width) ``size``.

    For a picture that is flagged although its heat map has no region.
    """
    hottest_cells = seen.evidence.filter(like="heat_top").to_numpy()[i, 0]
    if hottest_cells < _PLACE_FROM:
        return ["differs a little over much of the picture, nowhere enough to be outlined"]
    grid = seen.scored[i].shape
    row, column = (int(k) for k in np.unravel_index(seen.scored[i].argmax(), grid))
    (top, bottom), (left, right) = _span(row, grid[0], size[0]), _span(column, grid[1], size[1])
    return [
        f"differs most at x {left}-{right}, y {top}-{bottom}, where the scored map reaches "
        f"{seen.scored[i].max():.1f} sd; the heat map has nothing to outline"
    ]


def _span(cell: int, cells: int, pixels: int) -> tuple[int, int]:
    """Return the pixels that a cell covers, the second exclusive."""
    return cell * pixels // cells, max(cell * pixels // cells + 1, (cell + 1) * pixels // cells)


def _region_reason(region: Region) -> str:
    return (
        f"differs at x {region.left}-{region.right}, y {region.top}-{region.bottom} "
        f"({100.0 * region.area_share:.2g} % of the picture), up to {region.peak:.1f} sd"
    )


def _in_order(whole: list[str], local: list[str], *, whole_first: bool) -> list[str]:
    return whole + local if whole_first else local[:1] + whole + local[1:]


def _whole_reason(surprise: float) -> list[str]:
    if surprise < GLOBAL_FROM:
        return []
    share = max(1, round(float(np.exp(min(surprise, 20.0)))))
    many = f"fewer than 1 in {min(share, _MANY):,} good pictures"
    return [f"brightness, contrast or colour of the whole picture is such in {many}"]
