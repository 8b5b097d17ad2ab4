"""What is strange about a picture, in words and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vae_anomaly.scoring.heatmaps import Region
from vae_anomaly.scoring.image_score import GLOBAL_FROM

if TYPE_CHECKING:
    Regions = Sequence[Sequence[Region]]

__all__ = ["region_table", "words"]

_MANY: Final = 1000


def region_table(ids: Sequence[str], regions: Regions) -> pd.DataFrame:
    """Return one row for each region, the hottest of each picture first."""
    rows = [
        {"id": name, "rank": rank, **asdict(region)}
        for name, found in zip(ids, regions, strict=True)
        for rank, region in enumerate(found, start=1)
    ]
    return pd.DataFrame(rows, columns=["id", "rank", *Region.__dataclass_fields__])


def words(
    evidence: pd.DataFrame, regions: Regions, first: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Say what is strange about each picture, the strongest first.

    Parameters
    ----------
    evidence : DataFrame of N rows
    regions : N sequences of Region
    first : N sequences of str
        What is to be said before anything else.
    """
    whole = evidence["whole_picture"].to_numpy()
    local = evidence.filter(like="heat_top").sum(axis=1).to_numpy()
    return [
        [
            *first[i],
            *_in_order(
                _whole_reason(whole[i]),
                [_region_reason(r) for r in found],
                whole_first=whole[i] - GLOBAL_FROM > local[i],
            ),
        ]
        for i, found in enumerate(regions)
    ]


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
