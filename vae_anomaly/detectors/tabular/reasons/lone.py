"""Say what is strange about a cell by itself: beside the training cells of its own column.

A cell is strange where at most `STRANGE` of the training cells are as rare or rarer. In a column of
fifty states every state is rare, and none of them strange; nor is a shop never seen before, where
new shops come every day.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.cells import is_open
from vae_anomaly.data.tables.kinds.names import says_code
from vae_anomaly.detectors.tabular.encode.columns import (
    MISSING,
    CategoricalColumn,
    ColumnEncoder,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.reasons.wording import (
    DAYS,
    Scale,
    listed,
    moment,
    name_of,
    quoted,
    seen_words,
    share_words,
)

STRANGE = 0.02  # of training cells that are as rare or rarer
MUCH_FURTHER = 4.0  # outside of what is usual beside other cells, than outside of what is usual
_NAMED_LEVELS = 4
_SHOWN_CHARACTERS = 80

Found = tuple[Hashable, str]
"""What a reason tells of, so that it is said once, and the reason."""


def strange_cell(column: ColumnEncoder, cell: object) -> str | None:
    """Say why a cell is strange by itself; None where it is not."""
    if isinstance(column, CategoricalColumn):
        return _strange_category(column, MISSING if is_empty(cell) else str(cell))
    if is_empty(cell):
        return _strange_gap(column)
    if isinstance(column, TimestampColumn):
        return _strange_time(column, pd.Timestamp(cell))  # type: ignore[arg-type]  # a datetime
    assert isinstance(column, NumericColumn)  # noqa: S101 - there are three kinds
    return _strange_number(column, float(cell))  # type: ignore[arg-type]  # a number


def name_cell(column: ColumnEncoder, cell: object) -> str:
    """Name a column with its cell: ``shop 'bakery'``, ``euro 12.50``, ``at Sunday, 03:12``."""
    name = name_of(column.name)
    if is_empty(cell):
        return f"{name} empty"
    if isinstance(column, CategoricalColumn):
        return f"{name} {quoted(cell)}"
    if isinstance(column, TimestampColumn) and is_open_ended(cell):
        return f"{name} open-ended"
    if isinstance(column, TimestampColumn):
        time = moment(pd.Timestamp(cell), clock=column.clock)  # type: ignore[arg-type]  # a datetime
        return f"{name} {time.replace(',', '')}"
    assert isinstance(column, NumericColumn)  # noqa: S101 - there are three kinds
    return f"{name} {say_number(column, float(cell))}"  # type: ignore[arg-type]  # a number


def say_cell(column: ColumnEncoder, cell: object) -> str:
    """Say a cell without its column: ``bakery``, ``12.50``, ``Sunday, 03:12``, ``empty``."""
    if is_empty(cell):
        return "empty"
    if isinstance(column, CategoricalColumn):
        return name_of(cell, _SHOWN_CHARACTERS)
    if isinstance(column, TimestampColumn):
        time = pd.Timestamp(cell)  # type: ignore[arg-type]  # a datetime
        return "open-ended" if is_open_ended(cell) else moment(time, clock=column.clock)
    assert isinstance(column, NumericColumn)  # noqa: S101 - there are three kinds
    return say_number(column, float(cell))  # type: ignore[arg-type]  # a number


def say_level(column: CategoricalColumn | NumericColumn, code: int) -> str:
    """Say the value that a code stands for, as `say_cell` does."""
    if isinstance(column, NumericColumn):
        return say_number(column, column.levels[code])
    level = column.levels[code]
    return "empty" if level == MISSING else name_of(level, _SHOWN_CHARACTERS)


def name_level(column: CategoricalColumn | NumericColumn, code: int) -> str:
    """Name the value that a code stands for."""
    if isinstance(column, NumericColumn):
        return say_number(column, column.levels[code])
    return "no value" if column.levels[code] == MISSING else quoted(column.levels[code])


def is_empty(cell: object) -> bool:
    """Say whether a cell holds nothing."""
    return cell is None or bool(pd.isna(cell))  # type: ignore[call-overload]  # a scalar


def is_open_ended(cell: object) -> bool:
    """Say whether a time stands for no end or no beginning."""
    return bool(is_open(np.array([cell], dtype="datetime64[ns]"))[0])


def scale_of(column: NumericColumn) -> Scale:
    """Return how the numbers of a column are said."""
    least, low, *_, high, most = column.quantiles
    is_code = (least >= 1900.0 and most <= 2100.0) or says_code(column.name)
    return Scale(high - low, column.decimals, column.integer and is_code)


def excess_over(low: Floats, high: Floats, values: Floats, narrowest: float) -> Floats:
    """Return how far values (N,) lie outside of ranges, in their widths; 0 within and if empty."""
    outside = np.fmax(np.fmax(low - values, values - high), 0.0)
    width = np.maximum(high - low, narrowest)
    return np.divide(outside, width, out=np.zeros(len(values)), where=width > 0.0)


def excess_over_usual(column: NumericColumn, values: Floats) -> Floats:
    """Return how far values lie outside of the usual range of their column, in its width."""
    low, high = (np.full(len(values), end) for end in (column.quantiles[1], column.quantiles[-2]))
    return excess_over(low, high, values, 0.0)


def say_number(column: NumericColumn, value: float, *others: float) -> str:
    """Say a number of a column; with more decimals where it would read like one of the others."""
    if column.boolean:
        return "true" if value else "false"
    return scale_of(column).number(value, *others)


def _strange_category(column: CategoricalColumn, value: str) -> str | None:
    if column.share_as_rare(value) > STRANGE:
        return None
    name, count = name_of(column.name), column.counts.get(value, 0)
    if value == MISSING:
        return _gap_words(name, count / column.n)
    return f"{name} {quoted(value)}, {seen_words(count / column.n, column.n)}"


def _strange_gap(column: ColumnEncoder) -> str | None:
    share = float(getattr(column, "gap_share", 0.0))
    return _gap_words(name_of(column.name), share) if share <= STRANGE else None


def _gap_words(name: str, share: float, state: str = "empty") -> str:
    often = (
        f"as in {share_words(share)} training rows"
        if share > 0.0
        else "which it never was in training"
    )
    return f"{name} is {state}, {often}"


def _strange_number(column: NumericColumn, value: float) -> str | None:
    name = name_of(column.name)
    if 1.0 - column.gap_share <= STRANGE:
        share = 1.0 - column.gap_share
        having = f"only {share_words(share)} training rows has" if share else "no training row has"
        return f"{name} {say_number(column, value)}, where {having} a value"
    if len(column.levels) == 1 and value not in column.levels:
        (always,) = column.levels
        here, there = say_number(column, value, always), say_number(column, always)
        return f"{name} {here}, always {there} in training"
    return _beyond(column, value) or (
        _strange_level(column, value) if column.levels else _in_the_tail(column, value)
    )


def _beyond(column: NumericColumn, value: float) -> str | None:
    """Compare with the whole range of training."""
    if column.highest is not None and value > column.highest:
        return _record(column, value, column.highest, "higher", "highest")
    if column.lowest is not None and value < column.lowest:
        return _record(column, value, column.lowest, "lower", "lowest")
    return None


def _record(column: NumericColumn, value: float, bound: float, side: str, most: str) -> str:
    name, scale = name_of(column.name), scale_of(column)
    return (
        f"{name} {scale.number(value, bound)}, {side} than any of {column.n:,} training rows; "
        f"the {most} was {scale.number(bound, value)}"
    )


def _strange_level(column: NumericColumn, value: float) -> str | None:
    words = f"{name_of(column.name)} {say_number(column, value, *column.levels)}"
    if value not in column.levels:
        if len(column.levels) > _NAMED_LEVELS:
            return f"{words}, never seen in training"
        known = [say_number(column, level) for level in column.levels]
        return f"{words}, training had only {listed(known)}"
    share = column.shares[column.levels.index(value)]
    if tail_of(share, column.shares) > STRANGE:
        return None
    return f"{words}, {seen_words(share, column.n)}"


def _in_the_tail(column: NumericColumn, value: float) -> str | None:
    lowest, low, *_, high, highest = column.quantiles
    if lowest <= value <= highest:
        return None
    scale = scale_of(column)
    usual = scale.between(low, high, value)
    return f"{name_of(column.name)} {scale.number(value, low, high)}, usual is {usual}"


def _strange_time(column: TimestampColumn, time: pd.Timestamp) -> str | None:
    if is_open_ended(time):
        share = column.open_share
        words = _gap_words(name_of(column.name), share, "open-ended")
        return words if share <= STRANGE else None
    words = f"{name_of(column.name)} {moment(time, clock=column.clock)}"
    hour, day = column.hours[time.hour], column.weekdays[time.weekday()]
    if column.clock and _around(column.hours, time.hour) <= STRANGE:
        return f"{words}, {_falls(hour)} in that hour"
    if column.week and tail_of(day, column.weekdays) <= STRANGE:
        return f"{words}, {_falls(day)} on a {DAYS[time.weekday()]}"
    return None


def _around(hours: Sequence[float], hour: int) -> float:
    """Return the share of cells in hours with as few cells around them: one gap is no night."""
    around = np.mean([np.roll(hours, shift) for shift in (-1, 0, 1)], axis=0)
    return float(np.asarray(hours)[around <= around[hour] + 1e-12].sum())


def _falls(share: float) -> str:
    return (
        f"only {share_words(share)} training rows falls" if share > 0.0 else "no training row falls"
    )


def tail_of(share: float, shares: Sequence[float] | Floats) -> float:
    """Return the share of all values that are as rare as one, or rarer."""
    every = np.asarray(shares)
    return float(every[every <= share + 1e-12].sum())
