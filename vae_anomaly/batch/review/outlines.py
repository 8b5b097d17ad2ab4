"""Outlines of what is too hot, of few points, so that a page of hundreds of images stays small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats, Floats32
from vae_anomaly.detectors.images.heatmaps import contours, resize_heat
from vae_anomaly.reports.pages.outlines import prominence

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
    out, tolerance = prominence(ordered, _FINEST), _FINEST
    few = _simplified(ordered, out, tolerance)
    while sum(map(len, few)) > most and tolerance < _COARSEST:
        tolerance *= 2.0
        few = _simplified(ordered, out, tolerance)
    ends = np.cumsum([len(line) for line in few])
    return [line for line, end in zip(few, ends.tolist(), strict=True) if end <= most]


def _simplified(lines: Sequence[Floats], out: Sequence[Floats], tolerance: float) -> list[Floats]:
    """Return the points of closed lines that stand ``out``; one that would vanish keeps corners."""
    few = [line[own > tolerance] for line, own in zip(lines, out, strict=True)]
    return [
        thin if len(thin) > 3 else _corners(line) for line, thin in zip(lines, few, strict=True)
    ]


def _corners(line: Floats) -> Floats:
    """Return the box around a line, closed."""
    (left, top), (right, bottom) = line.min(axis=0), line.max(axis=0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
