"""Tell an order from chance: whether one column only rises, or only falls, with another."""

from __future__ import annotations

from bisect import bisect_right
from math import lgamma, log
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints

MIN_ROWS_IN_ORDER: Final = 20
MIN_LEVELS: Final = 3
_LATE_SHARE: Final = 1e-3  # rows that may be out of order: one that came late, one written wrongly
_MAX_CHANCE: Final = 1e-4  # that values without any order are found in this one
_QUICK_ROWS: Final = 1000
_QUICK_SHARE: Final = 0.02


def follows(values: Floats, clock: AnyArray, min_levels: int = MIN_LEVELS) -> bool:
    """Tell whether values only rise, or only fall, with a clock, but for one row in a thousand.

    The values at one time of the clock stand in no order, so they count for nothing: one constant
    date says nothing, and a few dates say something only where many values lie clearly apart.

    Parameters
    ----------
    values : ndarray of shape (N,)
        NaN where missing.
    clock : ndarray of shape (N,)
        Numbers or times; NaN or NaT where missing. Equal ones are one moment.
    min_levels : int
        Of fewer different values nothing is told.
    """
    present = ~np.isnan(values) & ~np.isnan(clock)
    values, clock = values[present], clock[present]
    signs = [sign for sign in (1.0, -1.0) if _may_rise(sign * values, clock)]
    if not signs or len(values) < MIN_ROWS_IN_ORDER or len(np.unique(values)) < min_levels:
        return False
    moments = _ranks(clock)
    return any(_rises(sign * values, moments) for sign in signs)


def linearity(values: Floats) -> float:
    """Return the squared correlation of values with their place, in [0, 1]."""
    if len(values) < 2 or np.ptp(values) == 0:
        return 0.0
    return float(np.corrcoef(np.arange(len(values)), values)[0, 1] ** 2)


def blocks(values: Floats) -> Ints:
    """Return the number of each row's run; a run's values lie below those of every later run."""
    highest = np.maximum.accumulate(values)[:-1]
    lowest = np.minimum.accumulate(values[::-1])[::-1][1:]
    return np.concatenate([[0], np.cumsum(highest < lowest)])


def _may_rise(values: Floats, clock: AnyArray) -> bool:
    """Tell by some of the rows whether it is worth looking at all of them."""
    every = max(1, len(values) // _QUICK_ROWS)
    values, clock = values[::every], clock[::every]
    late = ~_in_order(values[np.lexsort((values, clock))])
    return not late.size or bool(late.mean() <= _QUICK_SHARE)


def _rises(values: Floats, moments: Ints) -> bool:
    order = np.lexsort((values, moments))
    values, moments = values[order], moments[order]
    in_order = _in_order(values)
    late = int(np.sum(~in_order))
    if late > max(1.0, _LATE_SHARE * len(values)):
        return False
    chance = _log_chance(values[in_order], moments[in_order]) + _log_choices(len(values), late)
    return chance + log(2.0) < log(_MAX_CHANCE)


def _in_order(values: Floats) -> Bools:
    """Mark the rows of a longest sequence that never falls, shape (N,).

    References
    ----------
    Fredman, On computing the length of longest increasing subsequences, 1975.
    """
    if bool(np.all(values[1:] >= values[:-1])):
        return np.ones(len(values), dtype=np.bool_)
    lowest_ends: list[float] = []  # of sequences of 1, 2, ... rows
    ends: list[int] = []
    before = np.full(len(values), -1, dtype=np.int64)
    for row, value in enumerate(values.tolist()):
        length = bisect_right(lowest_ends, value)
        before[row] = ends[length - 1] if length else -1
        lowest_ends[length : length + 1] = [value]
        ends[length : length + 1] = [row]
    kept = np.zeros(len(values), dtype=np.bool_)
    row = ends[-1]
    while row >= 0:
        kept[row] = True
        row = int(before[row])
    return kept


def _log_chance(values: Floats, moments: Ints) -> float:
    """Return log of the share of all arrangements of values over moments that are this ordered.

    A value that repeats at one moment counts once: rows of one date with one price are no tests.
    """
    pairs = np.unique(np.stack([moments, _ranks(values)], axis=1), axis=0)
    ways = sum(lgamma(n + 1.0) for place in (0, 1) for n in np.bincount(pairs[:, place]))
    return ways - lgamma(len(pairs) + 1.0)


def _log_choices(n: int, k: int) -> float:
    return lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0)


def _ranks(values: AnyArray) -> Ints:
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)
