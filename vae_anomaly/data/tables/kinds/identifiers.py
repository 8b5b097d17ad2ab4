"""Tell whole numbers that are given out, such as ids, from amounts that happen never to repeat.

What is given out is dense, or rises along the rows, or has a name that says so; drawn at random it
has the same number of digits everywhere and is spread evenly. Amounts are spread over orders of
magnitude, skewed or round. Where both could be, a number stays a feature: an id among the features
adds noise, an amount that is left out is lost.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats

MIN_ROWS_TO_JUDGE: Final = 20
MIN_VALUES_OF_ID: Final = 50
MANY_ROWS: Final = 1000
ID_NAME = re.compile(r"(?i:(^|[^a-z])(u|uu|gu)?id$)|[a-z]I[dD]$")
AMOUNTS_NOTE: Final = "numbers that never repeat, taken for amounts"
_NUMBER_NAME = re.compile(
    r"(?i:(number|nummer|_no|nr\.?|key|code|index|idx|hash|serial)$)|[a-z]No$"
)
_LEAST_DIGITS, _ACCOUNT_DIGITS = 6, 9
_SKEWED: Final = 2.2  # 95 % quantile by median; 1.9 of even numbers from 0
_WIDE_GAP: Final = 0.2  # of the middle 90 %: numbers that are given out in blocks
_ROUND_SHARE: Final = 0.3  # multiples of 10; a tenth of numbers that are given out
_KS_CRITICAL: Final = 1.63  # of the Kolmogorov-Smirnov statistic times sqrt(n), at 1 %


def says_number(name: str) -> bool:
    """Tell whether a column's name says that its numbers are given out, as of documents."""
    return bool(_NUMBER_NAME.search(name) or ID_NAME.search(name))


def identifier_reason(name: str, values: Floats) -> str | None:
    """Say why whole numbers, in the order of rows, are names; None if they are amounts."""
    n, distinct = values.size, np.unique(values).size
    if n < MIN_ROWS_TO_JUDGE:
        return None
    if ID_NAME.search(name) and distinct > MIN_VALUES_OF_ID:
        return f"the name says identifier, {distinct} distinct values"
    if distinct < n or values.min() < 0:
        return None
    named = says_number(name)
    dense = np.ptp(values) < 2 * n
    if named or dense or _is_counted_up(values) or (n >= MANY_ROWS and _is_drawn(values)):
        return "whole numbers that never repeat"
    return None


def _is_counted_up(values: Floats) -> bool:
    """Tell whether numbers rise or fall along the rows, and are not amounts that were sorted."""
    steps = np.diff(values)
    return bool(np.all(steps > 0) or np.all(steps < 0)) and not _is_skewed(values)


def _is_drawn(values: Floats) -> bool:
    """Tell whether numbers look drawn at random among all of their number of digits."""
    digits = len(str(int(values.min())))
    if digits != len(str(int(values.max()))) or digits < _LEAST_DIGITS:
        return False
    if np.mean(values % 10 == 0) > _ROUND_SHARE:
        return False
    return digits >= _ACCOUNT_DIGITS or _is_even(values)


def _is_skewed(values: Floats) -> bool:
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
    middle = np.sort(values[(values >= low) & (values <= high)])
    in_blocks = np.diff(middle).max() > _WIDE_GAP * (high - low)
    return bool(high > _SKEWED * median and not in_blocks)


def _is_even(values: Floats) -> bool:
    """Tell whether numbers are spread evenly between the least and the greatest."""
    ranks = (np.sort(values) - values.min()) / np.ptp(values)
    distance = np.abs(ranks - np.linspace(0, 1, values.size)).max()
    return bool(distance * np.sqrt(values.size) < _KS_CRITICAL)
