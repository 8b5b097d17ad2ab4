"""Find columns that only tell the time again: elapsed seconds, counters, days that are numbered.

Tomorrow's value of a clock lies outside what training had, whatever happens. An order alone makes
no clock: a person may have sorted a table by its amounts. So beside the order there must be

1. a timestamp that the values follow, also one that a person has left out; or
2. a name that says time; or
3. whole numbers, mostly different, that rise evenly along the rows.

A table whose rows were shuffled shows no order. There a name that says time, and values that are
spread evenly, make a suspect, which stays in the model with a note.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Floats
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import Column, ColumnKind
from vae_anomaly.data.tables.kinds.counts import clock_note
from vae_anomaly.data.tables.kinds.infer import infer_column
from vae_anomaly.data.tables.kinds.names import says_time
from vae_anomaly.data.tables.kinds.order import MIN_ROWS_IN_ORDER, blocks, follows, linearity
from vae_anomaly.names import typed

SUSPECT_NOTE: Final = "may tell the time"
_LEVELS_IF_NAMED: Final = 2  # a year that turns
_SAME_YEARS: Final = 0.99
_LEVELS_IF_UNNAMED: Final = 8  # a setting that was changed twice is no clock
_MIN_BLOCKS: Final = 3
_EVEN: Final = 0.98  # linearity of a clock; values of a normal distribution, sorted, reach .955
_EVEN_BY_NAME: Final = 0.85  # of a clock by its name; exponential waiting times reach .75
_EVEN_IF_SHUFFLED: Final = 0.9
_MOSTLY_DIFFERENT: Final = 0.25


def find_clocks(
    columns: Mapping[str, Column],
    series: Mapping[str, pd.Series],
    said: Collection[str],
) -> dict[str, Column]:
    """Return, as ignored, the numeric columns that are clocks; those that may be, with a note.

    The rows of ``series`` are in the table's order. Columns in ``said`` stay what they are, but
    those that are clocks show which others are.
    """
    numbers = {
        name: column.numbers_in(series[name])
        for name, column in columns.items()
        if column.kind is ColumnKind.NUMERIC and name not in said
    }
    clocks = _clocks(columns, series, said)
    reasons = {
        name: _twin(name, values, clocks) or _seen(name, values) for name, values in numbers.items()
    }
    found = {name: numbers[name] for name, reason in reasons.items() if reason is not None}
    reasons |= {
        name: _twin(name, values, found) for name, values in numbers.items() if name not in found
    }
    return {
        name: _left_out(columns[name], reason)
        if reason is not None
        else columns[name].model_copy(update={"note": _suspicion(columns[name])})
        for name, reason in reasons.items()
        if reason is not None or (says_time(name) and _is_spread_evenly(numbers[name]))
    }


def _clocks(
    columns: Mapping[str, Column], series: Mapping[str, pd.Series], said: Collection[str]
) -> dict[str, AnyArray]:
    """Return the columns that tell the time, those included that a person has left out."""
    clocks: dict[str, AnyArray] = {}
    for name, column in columns.items():
        natural = infer_column(name, series[name]) if _is_left_out(column, said) else column
        if natural.kind is ColumnKind.TIMESTAMP:
            clocks[name] = cells.closed(cells.read_times(series[name], natural.time_format)[0])
        elif natural is not column and says_time(name):
            clocks[name] = natural.numbers_in(series[name])
    return clocks


def _is_left_out(column: Column, said: Collection[str]) -> bool:
    return column.name in said and column.kind in {ColumnKind.IGNORED, ColumnKind.IDENTIFIER}


def _twin(name: str, values: Floats, clocks: Mapping[str, AnyArray]) -> str | None:
    """Say which clock a column follows; None if it follows none."""
    year_of = next((c for c, clock in clocks.items() if _are_years(values, clock)), None)
    if year_of is not None and says_time(name):
        return f"is the year of {year_of!r}"
    levels = _LEVELS_IF_NAMED if says_time(name) else _LEVELS_IF_UNNAMED
    other = next((c for c, clock in clocks.items() if follows(values, clock, levels)), None)
    return None if other is None else f"only rises or falls with {other!r}"


def _are_years(values: Floats, clock: AnyArray) -> bool:
    """Tell whether values are the years of times, also where all rows are of one year."""
    if clock.dtype.kind != "M":
        return False
    known = ~np.isnat(clock) & ~np.isnan(values)
    years = clock[known].astype("datetime64[Y]").astype(np.int64) + 1970
    return bool(known.any() and np.mean(values[known] == years) >= _SAME_YEARS)


def _seen(name: str, values: Floats) -> str | None:
    """Say why a column is a clock by its name, its values and the order of the rows; else None."""
    values = values[~np.isnan(values)]
    order = _order(values)
    if order is None:
        return None
    even = linearity(values)
    if says_time(name) and even >= _EVEN_BY_NAME:
        return f"{order}, and its name says time"
    whole = bool(np.all(values == np.round(values)))
    different = len(np.unique(values)) >= _MOSTLY_DIFFERENT * len(values)
    is_clock = whole and different and even >= _EVEN
    return f"{order}, evenly and in whole numbers" if is_clock else None


def _order(values: Floats) -> str | None:
    """Say how values are in the order of the rows; None where they are not."""
    if follows(values, np.arange(len(values))):
        return "only rises or falls along the rows"
    for sign in (1.0, -1.0):
        run = blocks(sign * values) if len(values) else np.zeros(0, dtype=np.int64)
        sizes = np.bincount(run) if len(run) else run
        if len(sizes) >= _MIN_BLOCKS and sizes.min() >= MIN_ROWS_IN_ORDER and follows(values, run):
            return "rises or falls from one part of the table to the next"
    return None


def _is_spread_evenly(values: Floats) -> bool:
    """Tell whether values lie as a clock's do, of rows that come all the time."""
    values = np.sort(values[~np.isnan(values)])
    return (
        len(np.unique(values)) >= 2 * MIN_ROWS_IN_ORDER and linearity(values) >= _EVEN_IF_SHUFFLED
    )


def _left_out(column: Column, reason: str) -> Column:
    note = clock_note(column.name, reason)
    return column.model_copy(update={"kind": ColumnKind.IGNORED, "note": note, "role": "clock"})


def _suspicion(column: Column) -> str:
    return (
        f"{column.note}; {SUSPECT_NOTE}, by its name: if it counts on from day to day, leave it "
        f"out with --ignore {typed(column.name)}"
    )
