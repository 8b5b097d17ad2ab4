"""Outlines of hot parts with as few points as the eye needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats

DIGITS: Final = 3  # of a share of the image's width or height
_FINEST: Final = 0.001
_COARSEST: Final = 0.03
Outline = tuple[float, ...]


def thin_outlines(outlines: Sequence[Outline], points: int) -> tuple[Outline, ...]:
    """Return outlines with at most so many points together, as near as that goes.

    Parameters
    ----------
    outlines : sequence of tuple of float
        x and y in turn, as shares of width and height.
    points : int
        Of all outlines of one image; where even coarse ones have more, the longest remain.
    """
    lines = [np.reshape(line, (-1, 2)) for line in outlines if len(line) >= 4]
    tolerance = _FINEST
    thin = [thinned(line, tolerance) for line in lines]
    while sum(map(len, thin)) > points and tolerance < _COARSEST:
        tolerance *= 1.6
        thin = [thinned(line, tolerance) for line in lines]
    return tuple(_flat(line) for line in _longest(thin, points))


def thinned(line: Floats, tolerance: float) -> Floats:
    """Return the points of a line (K, 2) that it needs to be nowhere farther from where it was.

    First and last are among them.

    References
    ----------
    Douglas and Peucker, Algorithms for the reduction of the number of points required to represent
    a digitized line or its caricature, Cartographica 10, 1973.
    """
    needed = np.zeros(len(line), dtype=np.bool_)
    needed[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        away = _distances(line[first + 1 : last], line[first], line[last])
        farthest = first + 1 + int(away.argmax())
        if away.max() > tolerance:
            needed[farthest] = True
            spans += [(first, farthest), (farthest, last)]
    return np.asarray(line[needed], np.float64)


def _distances(points: Floats, a: Floats, b: Floats) -> Floats:
    """Return how far points (K, 2) lie from the stretch between two others."""
    along = b - a
    length = float(along @ along)
    share = np.clip((points - a) @ along / length, 0.0, 1.0) if length else np.zeros(len(points))
    return np.asarray(np.hypot(*(points - a - share[:, None] * along).T))


def _longest(lines: Sequence[Floats], points: int) -> list[Floats]:
    """Return the lines with the most points, in their order, as many as fit; one at least."""
    left, chosen = points, set[int]()
    for place in sorted(range(len(lines)), key=lambda one: -len(lines[one])):
        if len(lines[place]) <= left or not chosen:
            chosen.add(place)
            left -= len(lines[place])
    return [line for place, line in enumerate(lines) if place in chosen]


def _flat(line: Floats) -> Outline:
    return tuple(round(float(share), DIGITS) for share in line.ravel())
