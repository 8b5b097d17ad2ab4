"""Heatmaps for people: resized, outlined and cut into regions, always on one scale.

The unit is the sd of held-out normals over all their cells: 0 is the middle of what is normal, and
a map is never stretched to its own maximum. An image without defects looks cold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from vae_anomaly.arrays import AnyFloats, Bools, Bytes, Floats, Floats32

HEAT_RANGE: Final = (0.0, 10.0)
"""Cold and hot end of the colour scale, in sd of held-out normals; the same for every image."""

_LEAST_SHARE: Final = 0.05
_FINEST: Final = 2048  # pixels of a side among which regions are looked for
_FAR_BELOW: Final = 1e6  # so that an outline that leaves the image runs along its border
_ROUNDING: Final = 1e-6  # by what share the same heat may differ from pixel to pixel


@dataclass(frozen=True)
class Region:
    """A connected part of a map above a level.

    Attributes
    ----------
    top, left, bottom, right : int, pixels
        Box, at least half a cell of the map high and wide; bottom and right are exclusive.
    area_share : float in (0, 1]
        Part of the image.
    peak, mean : float
        Heat in sd of held-out normals.
    peak_x, peak_y : float, pixels
        Where it is hottest, 0 the left or upper edge of the image: between the centres of cells,
        at the top of a parabola through the hottest cell and its neighbours.
    """

    top: int
    left: int
    bottom: int
    right: int
    area_share: float
    peak: float
    mean: float
    peak_x: float
    peak_y: float


def resize_heat(heat: Floats32, size: tuple[int, int]) -> Floats32:
    """Bring maps (N, h, w) to (height, width), float32: what is hot stays as hot when they shrink.

    An axis that grows is interpolated linearly. One that shrinks takes the maximum of all cells
    that a new one touches: a hot cell is never sampled away, at any place.
    """
    maps = torch.from_numpy(np.ascontiguousarray(heat, np.float32))[:, None]
    kept = min(maps.shape[2], size[0]), min(maps.shape[3], size[1])
    if kept != maps.shape[2:]:
        maps = functional.adaptive_max_pool2d(maps, kept)
    resized = functional.interpolate(maps, size, mode="bilinear", align_corners=False)
    return np.asarray(resized[:, 0].numpy(), np.float32)


def least_share(target_fpr: float) -> float:
    """Return the share of held-out normals that may have a region; 5 % at least."""
    return max(target_fpr, _LEAST_SHARE)


def region_level(held_out_heat: AnyFloats, fpr: float) -> float:
    """Return the heat (sd) that only a share ``fpr`` of held-out normals (n, h, w) exceed anywhere.

    With few normals the greatest heat seen is the best that can be said.
    """
    peaks = held_out_heat.reshape(len(held_out_heat), -1).max(axis=1)
    return float(np.quantile(peaks, 1.0 - fpr, method="higher"))


def regions_at(heat: Floats32, size: tuple[int, int], level: float) -> list[Region]:
    """Return the regions of a map (h, w) in pixels of an image (height, width), the hottest first.

    Sides longer than 2,048 pixels are looked at in as many steps, or in two for each cell, so that
    an image of any size takes the same memory; boxes end at the next step outside.
    """
    steps = [min(side, max(_FINEST, 2 * n)) for side, n in zip(size, heat.shape, strict=True)]
    found = find_regions(resize_heat(heat[None], (steps[0], steps[1]))[0], level, heat.shape)
    down, along = (side / n for side, n in zip(size, steps, strict=True))
    return [
        replace(
            region,
            top=math.floor(region.top * down),
            left=math.floor(region.left * along),
            bottom=math.ceil(region.bottom * down),
            right=math.ceil(region.right * along),
            peak_x=round(region.peak_x * along, 1),
            peak_y=round(region.peak_y * down, 1),
        )
        for region in found
    ]


def find_regions(
    heat: Floats32, level: float, cells: tuple[int, int] | None = None
) -> list[Region]:
    """Return the connected parts of a map (H, W) above a level, the hottest first.

    Where it was interpolated from fewer ``cells``, down and right, it knows no place finer than
    about half of one: no box is smaller.
    """
    labels, count = ndimage.label(heat > level, structure=np.ones((3, 3)))
    boxes = ndimage.find_objects(labels)
    cell = [size / n for size, n in zip(heat.shape, cells or heat.shape, strict=True)]
    regions = [
        _region(heat, labels[boxes[i]] == i + 1, (boxes[i][0], boxes[i][1]), cell)
        for i in range(count)
    ]
    return sorted(regions, key=lambda region: -region.peak)


def contours(heat: Floats32, level: float) -> list[Floats]:
    """Return the outlines of a map (H, W) at a level.

    Returns
    -------
    list of ndarray of shape (K, 2), float64
        x and y in pixels, 0 the centre of the first one; first and last point are the same, also
        where what is hot reaches the border. Holes run the other way round.
    """
    from contourpy import contour_generator

    hot = heat > level
    if not hot.any():
        return []
    (top, bottom), (left, right) = (_around(np.asarray(hot.any(axis=axis))) for axis in (1, 0))
    outside = min(float(heat.min()), level) - _FAR_BELOW
    padded = np.pad(heat[top:bottom, left:right], 1, constant_values=outside)
    corner, last = (left - 1.0, top - 1.0), (heat.shape[1] - 1.0, heat.shape[0] - 1.0)
    lines = contour_generator(z=padded).lines(level)
    return [np.clip(np.asarray(line, np.float64) + corner, 0.0, last) for line in lines]


def _around(hot: Bools) -> tuple[int, int]:
    """Return first and last (exclusive) of what is hot along an axis, and a neighbour at each."""
    places = np.flatnonzero(hot)
    return max(0, int(places[0]) - 1), min(len(hot), int(places[-1]) + 2)


def render(heat: Floats32, limits: tuple[float, float] = HEAT_RANGE) -> Bytes:
    """Colour a map (H, W) on the fixed scale, (H, W, 3) uint8: black, red, yellow, white."""
    low, high = limits
    t = np.clip((heat - low) / (high - low), 0.0, 1.0)
    colour = np.stack([3.0 * t, 3.0 * t - 1.0, 3.0 * t - 2.0], axis=-1)
    return np.asarray(np.clip(colour, 0.0, 1.0) * 255.0 + 0.5, np.uint8)


def _region(
    heat: Floats32, members: Bools, box: tuple[slice, slice], cell: Sequence[float]
) -> Region:
    values = heat[box][members]
    least = [math.ceil(side / 2) for side in cell]
    (top, bottom), (left, right) = map(_at_least, box, least, heat.shape)
    peak = float(values.max())
    as_hot = members & (heat[box] >= peak - _ROUNDING * abs(peak))
    hottest = int(np.argmax(as_hot))  # the first: beyond the last cell's centre all are
    row, column = divmod(hottest, members.shape[1])
    y, x = box[0].start + row, box[1].start + column
    return Region(
        top=top,
        left=left,
        bottom=bottom,
        right=right,
        area_share=float(members.sum() / heat.size),
        peak=peak,
        mean=float(values.mean()),
        peak_x=_top_of(heat[y], x, cell[1]),
        peak_y=_top_of(heat[:, x], y, cell[0]),
    )


def _top_of(line: Floats32, place: int, step: float) -> float:
    """Return where a line of heat is highest, near its hottest pixel: a parabola tells.

    It runs through the pixel and those a cell before and after it, and leaves its cell by no more
    than to the middle between two. At the border, where one of them is missing, the pixel stays.
    """
    far = max(1, round(step))
    if place < far or place + far >= len(line):
        return round(place + 0.5, 1)
    before, here, after = (float(line[place + d]) for d in (-far, 0, far))
    bend = before - 2.0 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return round(place + 0.5 + step * float(np.clip(shift, -0.5, 0.5)), 1)


def _at_least(span: slice, least: int, size: int) -> tuple[int, int]:
    """Return both ends of a span, which grows about its middle to a length, within the image."""
    length = max(span.stop - span.start, least)
    start = (span.start + span.stop - length) // 2
    start = min(max(start, 0), size - length)
    return int(start), int(start + length)
