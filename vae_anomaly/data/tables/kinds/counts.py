"""Numbers that count from a fixed date: seconds since 1970, days of a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.identifiers import says_number
from vae_anomaly.data.tables.kinds.names import says_time
from vae_anomaly.names import typed

ELAPSED_NOTE: Final = "tells the time again"
_UNITS: Final = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_FIRST, _LAST = np.datetime64("2001-09-09", "ns"), np.datetime64("2040-01-01", "ns")
_DAYS_OF_A_SHEET: Final = (36_526.0, 51_136.0)  # 2000 to 2040
_SHARE: Final = 0.99
_MIN_DISTINCT: Final = 20
_MIN_DISTINCT_NAMED: Final = 5
_YEARS_IF_UNNAMED: Final = 5.0
_LOOKED_AT: Final = 1000
_MOSTLY: Final = 0.5


def count_note(name: str, values: Floats) -> str | None:
    """Say from which date numbers count, by their size; None where they measure something.

    ``values`` have no missing ones. Without a name that says time, only whole numbers within a few
    years are a count: no amounts of a billion lie so close together.
    """
    distinct = np.unique(values)
    named = says_time(name)
    if says_number(name) and not named:
        return None
    if len(distinct) < (2 if named else _MIN_DISTINCT):
        return None
    low, high = _DAYS_OF_A_SHEET
    if named and np.mean((values >= low) & (values < high)) > _SHARE:
        return clock_note(name, _between("excel", values))
    form = next((unit for unit in _UNITS if _is_count(values, unit, named=named)), None)
    return None if form is None else clock_note(name, _between(form, values))


def digits_note(name: str, words: Sequence[str]) -> str | None:
    """Say that digits are dates without the year's first two, or with the year behind.

    ``words`` are different ones. Such dates are not read by themselves: 010203 is several.
    """
    if len(words) < (_MIN_DISTINCT_NAMED if says_time(name) else _MIN_DISTINCT):
        return None
    named = says_time(name)
    forms = [f for f in cells.digit_formats(words) if named or _leaves_the_calendar(words, f)]
    options = " or ".join(f"--time-format {typed(name)}={form}" for form in forms)
    return (
        f"{ELAPSED_NOTE}: dates as digits, such as {words[0]}. To read them: {options}; if they "
        f"are a quantity: --kind {typed(name)}=numeric"
        if forms
        else None
    )


def _leaves_the_calendar(words: Sequence[str], form: str) -> bool:
    """Tell whether most whole numbers of the same range are no dates, so chance makes none.

    From 100,500 to 101,250 all are: the tenth of a month, and any year.
    """
    numbers = [int(word) for word in words]
    others = np.unique(np.linspace(min(numbers), max(numbers), _LOOKED_AT).round())
    return bool(np.isnat(cells.times_of_numbers(others, form)).mean() > _MOSTLY)


def clock_note(name: str, reason: str) -> str:
    """Say why a column is a clock, and how to declare what it is instead."""
    return (
        f"{ELAPSED_NOTE}: {reason}, so tomorrow's value is always out of range. If its level "
        f"matters: --kind {typed(name)}=numeric; if it is a date: --kind {typed(name)}=timestamp"
    )


def _is_count(values: Floats, unit: str, *, named: bool) -> bool:
    times = cells.times_of_numbers(values, unit)
    inside = (times >= _FIRST) & (times < _LAST)
    if not inside.mean() > _SHARE:
        return False
    years = float(np.ptp(times[inside].astype(np.int64))) / (365.25 * 86_400e9)
    return named or (bool(np.all(values == np.round(values))) and years < _YEARS_IF_UNNAMED)


def _between(form: str, values: Floats) -> str:
    times = cells.closed(cells.times_of_numbers(values, form))
    known = times[~np.isnat(times)].astype("datetime64[D]")
    return f"{cells.words_for(form)}, {known.min()} to {known.max()}"
