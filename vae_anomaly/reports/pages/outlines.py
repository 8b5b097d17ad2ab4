"""Outlines of hot parts with as few points as the eye needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats, Indices

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
    out, tolerance = prominence(lines, _FINEST), _FINEST
    while sum(int((own > tolerance).sum()) for own in out) > points and tolerance < _COARSEST:
        tolerance *= 1.6
    thin = [line[own > tolerance] for line, own in zip(lines, out, strict=True)]
    return tuple(_flat(line) for line in _longest(thin, points))


def prominence(lines: Sequence[Floats], finest: float) -> list[Floats]:
    """Return how far each point of lines stands out: at smaller tolerances its line needs it.

    The points of a line that stand out by more than a tolerance are nowhere farther from the line
    than that. First and last stand out without end, those of no more than ``finest`` by 0.

    Parameters
    ----------
    lines : sequence of ndarray of shape (K, 2)
    finest : float
        The smallest tolerance that will be asked for.

    Returns
    -------
    list of ndarray of shape (K,)

    References
    ----------
    Douglas and Peucker, Algorithms for the reduction of the number of points required to represent
    a digitized line or its caricature, Cartographica 10, 1973. The same points stand out whatever
    the tolerance, so one pass serves all; it halves the stretches of all lines together.
    """
    if not lines:
        return []
    points, ends = np.concatenate(lines), np.cumsum([len(line) for line in lines])
    last = ends - 1
    first = np.concatenate([[0], ends[:-1]])
    out, bound = np.zeros(len(points)), np.full(len(lines), np.inf)
    out[first] = out[last] = np.inf
    while (inner := last - first > 1).any():
        first, last, bound = first[inner], last[inner], bound[inner]
        farthest, away = _farthest(points, first, last)
        needed = away > finest
        first, farthest, last = first[needed], farthest[needed], last[needed]
        bound = np.minimum(bound, away)[needed]
        out[farthest] = bound
        first, last = np.concatenate([first, farthest]), np.concatenate([farthest, last])
        bound = np.tile(bound, 2)
    return np.split(out, ends[:-1])


def _farthest(points: Floats, first: Indices, last: Indices) -> tuple[Indices, Floats]:
    """Return of stretches between two points (M,) each the farthest inner point, and how far."""
    lengths = last - first - 1
    starts = np.cumsum(lengths) - lengths
    stretch = np.repeat(np.arange(len(first)), lengths)
    inner = np.arange(len(stretch)) + (first + 1 - starts)[stretch]
    along = points[last] - points[first]
    squared = (along**2).sum(axis=1)
    squared[squared == 0.0] = np.inf  # a closed line: away from the point where it begins
    from_first = points[inner] - points[first][stretch]
    share = np.clip((from_first * along[stretch]).sum(axis=1) / squared[stretch], 0.0, 1.0)
    away = np.hypot(*(from_first - share[:, None] * along[stretch]).T)
    most = np.maximum.reduceat(away, starts)
    hits = np.flatnonzero(away == most[stretch])
    _, of_each = np.unique(stretch[hits], return_index=True)
    return inner[hits[of_each]], most


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
