"""What a column of times says to a model: how it is written, and which parts of it come again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats, Times
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import Part
from vae_anomaly.data.tables.kinds.names import says_time
from vae_anomaly.data.tables.kinds.writing import option
from vae_anomaly.names import typed

AMBIGUOUS_NOTE: Final = "nothing tells day from month"
MIN_SHARE_OF_TIMES: Final = 0.99
_MIN_SHARE_OF_SOME: Final = 0.9  # of the cells at a first glance
_MIN_DATES_OF_DIGITS: Final = 5  # eight digits are a date by chance in one of 27 cases
DAYS_OF_TWO_WEEKS: Final = 13.0  # less, and a weekday may be missing or stand for one date only
_MIN_SHARE_IN_DOUBT: Final = 0.5
_FEW_DATES: Final = 20
_DAYS_OF_A_CLOCK: Final = 0.8  # less, and most hours are missing
_DAYS_OF_A_LIFE: Final = 15 * 365.25
_DAY_NS: Final = 86_400_000_000_000


def text_times(name: str, texts: Mapping[str, int]) -> tuple[str, str] | None:
    """Return how text is written as times, in words and as a format; None where it is none."""
    some = cells.some_of(texts)
    writing = cells.writing_of(some)
    if some is not texts and writing.share > _MIN_SHARE_OF_SOME:
        writing = cells.writing_of(texts)
    if writing.share <= MIN_SHARE_OF_TIMES:
        return None
    if writing.form == "compact" and len(texts) < _MIN_DATES_OF_DIGITS and not says_time(name):
        return None
    if writing.form == "time_of_day":
        return ("times of day", writing.form) if says_time(name) else None
    return f"text dates, {_how(name, writing)}", writing.form


def times_doubt(name: str, texts: Mapping[str, int]) -> str:
    """Ask about a text column of which many cells are dates and some are none; "" of others."""
    writing = cells.writing_of(texts)
    if not _MIN_SHARE_IN_DOUBT < writing.share <= MIN_SHARE_OF_TIMES or len(texts) <= _FEW_DATES:
        return ""
    codes = cells.read_times(pd.Series([*texts], dtype=object), writing.form)[1]
    bad = next(text for text, code in zip(texts, codes, strict=True) if code == "not_a_time")
    return (
        f"column {name!r} is not read as dates: {writing.share:.1%} of its cells are, others such "
        f"as {bad!r} are not. If that means missing, say {option('--missing', name, bad)}; to have "
        f"such cells refused, {option('--kind', name, 'timestamp')}; to keep all as words, "
        f"{option('--kind', name, 'categorical')}"
    )


def calendar_doubt(name: str, texts: Mapping[str, int], form: str | None) -> str:
    """Ask about many different dates that all lie far from today; "" of others."""
    if len(texts) <= _FEW_DATES:
        return ""
    times = cells.read_times(pd.Series([*texts], dtype=object), form)[0]
    if cells.is_open(times).mean() < MIN_SHARE_OF_TIMES:
        return ""
    return (
        f"the dates of column {name!r}, such as {next(iter(texts))!r}, lie outside the years 1678 "
        "to 2261 and are read as 'no end' or 'no beginning'. If they are of another calendar, "
        "write them in the Gregorian one"
    )


def number_times_note(name: str, values: Floats) -> str | None:
    """Say that numbers are days written as digits, 20240301; None where they are not."""
    distinct = np.unique(values)
    if len(distinct) < _MIN_DATES_OF_DIGITS and not says_time(name):
        return None
    is_date = len(values) > 0 and cells.is_calendar_number(values).mean() > MIN_SHARE_OF_TIMES
    return "days as numbers, year first" if is_date else None


def time_format_of(
    series: pd.Series, storage: cells.Storage, texts: Mapping[str, int]
) -> cells.TimeFormat | None:
    """Tell how a timestamp column that is not stored as times is to be read."""
    if storage == "text" and texts:
        writing = cells.writing_of(texts)
        are_numbers = writing.share == 0 and all(map(cells.is_number_text, texts))
        return cells.epoch_unit_of(cells.read_numbers(series)[0]) if are_numbers else writing.form
    return cells.epoch_unit_of(cells.read_numbers(series)[0]) if storage == "number" else None


def parts_of(times: Times, form: str | None = None) -> tuple[tuple[Part, ...] | None, str]:
    """Tell which parts of times will come again, and why not all; None stands for all of them."""
    known = cells.closed(times)
    ns = known[~np.isnat(known)].astype(np.int64)
    if not len(ns):
        return None, ""
    if form == "time_of_day":
        return ("hour",), ""
    span = float(np.ptp(ns)) / _DAY_NS
    if not (ns % _DAY_NS).any():
        low, high = np.quantile(ns, [0.01, 0.99])
        if (high - low) / _DAY_NS > _DAYS_OF_A_LIFE:
            return ("days",), f"dates of {span / 365.25:.0f} years: weekday not read"
        days = np.unique(ns).astype("datetime64[ns]").astype("datetime64[D]")
        if len(days) > 1 and (days == days.astype("datetime64[M]")).all():
            return ("days",), "months: weekday not read"
    if span == 0:
        return ("days",), "the same in all rows: neither hour nor weekday is read"
    if span < _DAYS_OF_A_CLOCK:
        return ("days",), f"spans {_span(span)}: neither hour nor weekday is read"
    if span < DAYS_OF_TWO_WEEKS:
        return ("hour", "days"), f"spans {_span(span)}: weekday not read"
    return None, ""


def _how(name: str, writing: cells.Writing) -> str:
    """Say how dates are read, and what to do if that is wrong."""
    how = cells.words_for(writing.form)
    if writing.otherwise is None:
        return how
    return (
        f"read {how}, though {AMBIGUOUS_NOTE}. If they are {cells.words_for(writing.otherwise)}: "
        f"--time-format {typed(name)}={writing.otherwise}"
    )


def _span(days: float) -> str:
    return f"{days:.1f} days" if days >= 1 else f"{days * 24:.1f} hours"
