"""Say what is usual of a column by itself: a range, the most frequent values, hours of the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from vae_anomaly.detectors.tabular.encode.columns import (
    MISSING,
    CategoricalColumn,
    ColumnEncoder,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.reasons.lone import STRANGE, say_number, scale_of
from vae_anomaly.detectors.tabular.reasons.wording import DAYS, listed, name_of

_NAMED = 3  # values
_FEWEST = 0.02  # share of a value that is named
_MOST = 0.9  # share of the times within the hours that are named
_ANY = 22  # hours, from which on it is any
_CHARACTERS = 30


def typical_of(column: ColumnEncoder) -> str:
    """Say what is usual: ``20 to 180``, ``grocer 30 %, fuel 15 %``, ``06:00 to 21:00``."""
    if isinstance(column, CategoricalColumn):
        return _of_categories(column)
    if isinstance(column, TimestampColumn):
        return _of_hours(column.hours) if column.clock else _of_days(column)
    assert isinstance(column, NumericColumn)  # noqa: S101 - there are three kinds
    if column.levels and column.shares:
        levels = sorted(zip(column.shares, column.levels, strict=True), key=lambda one: -one[0])
        return _most_frequent((say_number(column, level), share) for share, level in levels)
    return scale_of(column).whole_range(column.quantiles[1], column.quantiles[-2])


def _of_categories(column: CategoricalColumn) -> str:
    frequent = _most_frequent(
        ("empty" if value == MISSING else name_of(value, _CHARACTERS), n / max(column.n, 1))
        for value, n in column.counts.items()
    )
    return frequent or f"{len(column.counts):,} different values"


def _most_frequent(shares: Iterable[tuple[str, float]]) -> str:
    """Name values with their shares, which come with the most frequent first."""
    first = islice(shares, _NAMED)
    return ", ".join(f"{name} {100.0 * share:.0f} %" for name, share in first if share >= _FEWEST)


def _of_hours(hours: Sequence[float]) -> str:
    """Name the fewest hours in a row that hold nine tenths of the times."""
    for length in range(1, _ANY):
        within = [float(np.roll(hours, -start)[:length].sum()) for start in range(24)]
        start = int(np.argmax(within))
        if within[start] >= _MOST:
            return f"{start:02d}:00 to {(start + length - 1) % 24 + 1:02d}:00"
    return "any hour"


def _of_days(column: TimestampColumn) -> str:
    if not column.week:
        return ""
    usual = [day for day, share in zip(DAYS, column.weekdays, strict=True) if share > STRANGE]
    if len(usual) == len(DAYS):
        return "any day"
    if 2 < len(usual) == DAYS.index(usual[-1]) - DAYS.index(usual[0]) + 1:
        return f"{usual[0]} to {usual[-1]}"
    return listed(usual) if usual else ""
