"""The positions of a threshold's slider, and the histogram that it moves over.

Whatever a page shows of a position is computed here: the exact number that would be flagged, the
false alarms to expect (`held_out`), and what verdicts tell (`judged`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats
from vae_anomaly.jobs.report.night.held_out import HeldOutScores
from vae_anomaly.jobs.report.night.scores import NightScores
from vae_anomaly.metrics import Interval
from vae_anomaly.reports.facts.night import Histogram, ThresholdStep

MOST_STEPS: Final = 240
_NEAR, _NEAR_STEP = 0.5, 0.02  # about the threshold in force
_EVEN = 100  # positions over the whole range, at equal distances
_DECIMALS = 4  # of a position: what a command prints is what is counted
_BEYOND = 3.0  # of the histogram beyond the threshold: a thousandth of its rate
_MOST_BINS = 70
_WIDTHS = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
_LOWEST = -1.0  # nothing below is looked at

KnownFigures = dict[str, Interval | None]
"""``precision``, ``recall`` and ``cost`` of a threshold, where they are known."""


def slider_steps(
    night: NightScores,
    held_out: HeldOutScores,
    in_force: float,
    judged: Callable[[float], KnownFigures] | None = None,
) -> tuple[ThresholdStep, ...]:
    """Return the positions of the slider, rising, at most `MOST_STEPS`; one is in force.

    They lie close about the threshold in force, evenly over the whole range, and where the number
    of flags changes by a like factor: also where few scores lie very far out.

    Parameters
    ----------
    judged : callable, optional
        Says what verdicts tell of a threshold.
    """
    values = _positions(night, held_out, in_force)
    alarms = held_out.false_alarms(values, len(night))
    counts = night.flagged_above(values)
    known = [judged(float(value)) if judged else {} for value in values]
    return tuple(
        ThresholdStep(float(value), count, alarm, **figures)
        for value, count, alarm, figures in zip(values, counts, alarms, known, strict=True)
    )


def _positions(night: NightScores, held_out: HeldOutScores, in_force: float) -> Floats:
    top = max(in_force + _NEAR, *_last(night.rising), *_last(held_out.scores))
    reach = min(top, in_force + 2 * _BEYOND)
    near = in_force + np.arange(-_NEAR, _NEAR + _NEAR_STEP / 2, _NEAR_STEP)
    even = np.linspace(min(0.0, in_force - _NEAR), reach, _EVEN)
    ends = [math.floor(top * 100 + 1) / 100]  # above it nothing is flagged
    values = np.unique(np.round(np.concatenate([near, even, ends]), _DECIMALS))
    left = MOST_STEPS - 1 - len(values)
    values = np.union1d(values, _by_count(night.rising, left))
    apart = np.abs(values - in_force) > 10.0**-_DECIMALS  # the exact one stands for its like
    return np.asarray(np.union1d(values[apart], [in_force]), dtype=np.float64)


def _by_count(rising: Floats, most: int) -> Floats:
    """Return thresholds between scores whose numbers of flags grow by a like factor."""
    n = len(rising)
    if n < 2 or most < 1:
        return np.empty(0)
    counts = np.unique(np.geomspace(1, n - 1, min(most, n - 1)).astype(np.int64))
    between = (rising[n - counts - 1] + rising[n - counts]) / 2
    return np.unique(np.round(between[np.isfinite(between)], _DECIMALS))


def _last(rising: Floats) -> list[float]:
    finite = rising[np.isfinite(rising)]
    return [float(finite[-1])] if finite.size else []


def histogram_of(night: NightScores, held_out: HeldOutScores, in_force: float) -> Histogram:
    """Count the scores of a night in bins, beside what as many normals would give."""
    edges, is_open = _edges(night.rising, held_out.scores, in_force)
    clipped = np.clip(night.rising, edges[0], edges[-1])
    counts = np.histogram(clipped[~np.isnan(clipped)], edges)[0]
    normal = held_out.expected(edges, len(night))
    return Histogram(
        tuple(edges.tolist()), tuple(counts.tolist()), tuple(np.round(normal, 3).tolist()), is_open
    )


def _edges(rising: Floats, normals: Floats, in_force: float) -> tuple[Floats, bool]:
    """Return the edges of bins, and whether scores lie above all of them."""
    ends = [*_last(rising), *_last(normals), in_force + 1.0]
    starts = [float(some[0]) for some in (rising, normals) if some.size]
    top = min(max(ends), max(in_force, 3.0) + _BEYOND)
    bottom = max(min([0.0, *starts]), _LOWEST)
    width = next((w for w in _WIDTHS if (top - bottom) / w <= _MOST_BINS), _WIDTHS[-1])
    first, last = math.floor(bottom / width), math.ceil(top / width)
    edges = np.round(np.arange(first, last + 1) * width, 6)
    return edges, bool(max(ends[:-1], default=0.0) > edges[-1])
