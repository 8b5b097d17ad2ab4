"""Outlines of what is too hot, of few points, so that a page of hundreds of images stays small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats, Floats32
from vae_anomaly.detectors.images.heatmaps import contours, resize_heat

_MOST_POINTS: Final = 200  # of an image
_FINEST: Final = 0.5  # pixels that an outline may leave its place by
_COARSEST: Final = 8.0
_DIGITS: Final = 4  # of a share: a twentieth of a pixel on 512


def shown_contours(
    heat: Floats32, level: float, size: tuple[int, int]
) -> tuple[tuple[float, ...], ...]:
    """Return the outlines of a map at a level, on an image of (height, width) as it is shown.

    Each is x, y, x, y, ... in shares of width and height; the largest first, 200 points in all.
    """
    if heat.max() <= level:
        return ()
    height, width = size
    lines = few_points(contours(resize_heat(heat[None], size)[0], level))
    shares = [(line + 0.5) / (width, height) for line in lines]
    return tuple(tuple(np.round(one, _DIGITS).ravel().tolist()) for one in shares)


def few_points(lines: Sequence[Floats], most: int = _MOST_POINTS) -> list[Floats]:
    """Take points out of closed lines (K, 2) that lie near what is left, until few are left.

    The largest line is first; where even coarse ones are too many points, small lines are left out.
    """
    ordered = sorted(lines, key=lambda line: -float(np.prod(np.ptp(line, axis=0))))
    tolerance = _FINEST
    few = [simplified(line, tolerance) for line in ordered]
    while sum(map(len, few)) > most and tolerance < _COARSEST:
        tolerance *= 2.0
        few = [simplified(line, tolerance) for line in ordered]
    ends = np.cumsum([len(line) for line in few])
    return [line for line, end in zip(few, ends.tolist(), strict=True) if end <= most]


def simplified(line: Floats, tolerance: float) -> Floats:
    """Return the points of a closed line (K, 2) that are needed to be nowhere farther from it.

    A line that would vanish keeps its corners.

    References
    ----------
    Douglas and Peucker, Algorithms for the reduction of the number of points required to represent
    a digitized line or its caricature, Cartographica 10, 1973.
    """
    needed = np.zeros(len(line), np.bool_)
    needed[[0, -1]] = True
    left = [(0, len(line) - 1)]
    while left:
        first, last = left.pop()
        if last - first < 2:
            continue
        away = _distance(line[first + 1 : last], line[first], line[last])
        farthest = first + 1 + int(away.argmax())
        if away.max() > tolerance:
            needed[farthest] = True
            left += [(first, farthest), (farthest, last)]
    return line[needed] if needed.sum() > 3 else _corners(line)


def _distance(points: Floats, a: Floats, b: Floats) -> Floats:
    """Return how far points (K, 2) lie from the stretch between two others."""
    along = b - a
    length = float(along @ along)
    share = np.clip((points - a) @ along / length, 0.0, 1.0) if length else np.zeros(len(points))
    return np.asarray(np.hypot(*(points - a - share[:, None] * along).T))


def _corners(line: Floats) -> Floats:
    """Return the box around a line, closed."""
    (left, top), (right, bottom) = line.min(axis=0), line.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
