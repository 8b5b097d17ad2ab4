"""Read cells as UTC times; tell how dates and numbers since 1970 are written.

A date before 1678 or after 2261, as 9999-12-31, is open-ended: it stands for "no end" or "always",
and is read as `OPEN_START` or `OPEN_END`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints, Times
from vae_anomaly.data.tables.cells.numbers import read_numbers
from vae_anomaly.data.tables.cells.storage import (
    MISSING_WORDS,
    Codes,
    are_fine,
    dense,
    distinct_cells,
    storage_of,
    storage_of_type,
)
from vae_anomaly.data.tables.cells.time_formats import PER_SECOND, n_digits
from vae_anomaly.data.tables.cells.time_text import (
    Moments,
    TwoReadings,
    are_digits,
    parse_times,
    two_readings,
)

OPEN_START: Final = np.datetime64("1677-12-31", "ns")
OPEN_END: Final = np.datetime64("2262-01-01", "ns")
_FIRST_S: Final = int(np.datetime64("1678-01-01", "s").astype(np.int64))
_LAST_S: Final = int(np.datetime64("2262-01-01", "s").astype(np.int64)) - 1
_YEAR_1_S: Final = int(np.datetime64("0001-01-01", "s").astype(np.int64)) - 86_400
_YEAR_9999_S: Final = int(np.datetime64("10000-01-02", "s").astype(np.int64))
_FIRST, _AFTER_LAST = np.datetime64("1678-01-01", "s"), np.datetime64("2262-01-01", "s")
_NO_DATE = re.compile(
    r"0{8}|0000[-/.]00[-/.]00([T ][0:.]+Z?)?|00[-/.]00[-/.](00|0000)([T ][0:.]+)?"
)
_INFINITE: Final = {"infinity": "9999-12-31", "-infinity": "0001-01-01"}  # as PostgreSQL writes
_DIGIT_FORMS: Final = {6: ("%y%m%d", "%d%m%y", "%m%d%y"), 8: ("%d%m%Y", "%m%d%Y")}
_MONTH = re.compile(r"[^\W\d_]{3}")
_MUCH_LONGER: Final = 4.0
_EXCEL_EPOCH: Final = 25_569.0  # 1 January 1970 in a spreadsheet
_EXCEL_2100: Final = 73_051.0


@dataclass(frozen=True)
class Writing:
    """How the times of a column are written.

    Parameters
    ----------
    form : str
        One of `vae_anomaly.data.tables.cells.time_formats.FORMAT_WORDS`.
    share : float
        Of the cells, how many are times in this or another format.
    otherwise : str, optional
        Another format in which all of them would be dates as well: nothing decides.
    """

    form: str
    share: float
    otherwise: str | None = None


def read_times(series: pd.Series, form: str | None = None) -> tuple[Times, Codes]:
    """Read a column as UTC times.

    Parameters
    ----------
    series : pandas.Series of length N
        Dates, times with or without zone (without one they count as UTC), or text. What is typed,
        and text with the year first, is never read in another way.
    form : str, optional
        How text and numbers are written; see `vae_anomaly.data.tables.cells.time_formats`.

    Returns
    -------
    values : ndarray of shape (N,), datetime64[ns]
        NaT where a cell is missing or bad; `OPEN_START` before 1678, `OPEN_END` after 2261.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "not_a_time", "other_time_format", "time_zone_name" or
        "time_out_of_range".
    """
    series = dense(series)
    if storage_of(series) == "number":
        return _times_from_numbers(series, form)
    if storage_of_type(series.dtype) == "time":
        return _as_nanoseconds(_utc_naive(series))
    return _times_from_objects(series, form or "iso")


def is_open(times: AnyArray | pd.Series) -> Bools:
    """Tell which times stand for no end or no beginning, shape (N,)."""
    times = np.asarray(times, dtype="datetime64[ns]")
    return np.asarray((times <= OPEN_START) | (times >= OPEN_END), dtype=np.bool_)


def closed(times: AnyArray | pd.Series) -> Times:
    """Return times with NaT in place of those that are open-ended, shape (N,)."""
    times = np.asarray(times, dtype="datetime64[ns]")
    return np.where(is_open(times), np.datetime64("NaT", "ns"), times)


def writing_of(texts: Mapping[str, int]) -> Writing:
    """Tell how dates are written, from all distinct texts and how often each occurs."""
    present = {word: n for text, n in texts.items() if (word := _time_word(text))}
    if not present:
        return Writing("iso", 0.0)
    words, counts = [*present], np.array([*present.values()], dtype=np.int64)
    readings = two_readings(words)
    if 2 * counts[readings.places].sum() > counts.sum():
        form, otherwise = _order_of_parts(readings, counts[readings.places])
    else:
        form, otherwise = _unambiguous(words), None
    share = _share_of_times(words, counts, form)
    if not share and (of_day := _share_of_times(words, counts, "time_of_day")):
        return Writing("time_of_day", of_day)
    return Writing(form, share, otherwise)


def epoch_unit_of(values: Floats) -> str:
    """Guess how numbers stand for times: digits of a date, or a count from 1970, by their size."""
    known = values[~np.isnan(values)]
    if len(known) and bool(is_calendar_number(known).mean() > 0.99):
        return "compact"
    if len(known) and known.min() >= _EXCEL_EPOCH and known.max() < _EXCEL_2100:
        return "excel"
    typical = float(np.nanmedian(np.abs(values)))
    bounds = (("epoch_s", 1e11), ("epoch_ms", 1e14), ("epoch_us", 1e17))
    return next((unit for unit, bound in bounds if typical < bound), "epoch_ns")


def times_of_numbers(values: Floats, form: str) -> Times:
    """Return the times that numbers stand for, shape (N,); NaT where one stands for none."""
    return _from_moments(_moments_of_numbers(values, form))[0]


def is_calendar_number(values: Floats) -> Bools:
    """Tell which numbers are days or months written as digits, such as 20240301, shape (N,)."""
    distinct, place = np.unique(values, return_inverse=True)
    whole = (distinct >= 1e5) & (distinct < 1e14) & (distinct == np.round(distinct))
    is_day = np.zeros(len(distinct), dtype=np.bool_)
    is_day[whole] = _is_read(parse_times([str(int(value)) for value in distinct[whole]], "iso"))
    return is_day[place]


def digit_formats(words: Sequence[str]) -> list[str]:
    """Return the formats in which words of six or eight digits are dates, nearly all of them."""
    width = max(map(len, words), default=0)
    forms = _DIGIT_FORMS.get(width + width % 2, ())
    if not all(word.isdecimal() and len(word) >= width - 1 for word in words):
        return []
    return [form for form in forms if _is_read(_parsed_digits([*words], form)).mean() > 0.99]


def _order_of_parts(readings: TwoReadings, counts: Ints) -> tuple[str, str | None]:
    """Tell which part of 03/04/24 is the day: by what cannot be otherwise, else the shorter span.

    Returns the format, and another one where nothing decides between the two.
    """
    forms = ("month_first", "day_first", "year_first")
    fitting = {form: int(counts[readings.is_date(form)].sum()) for form in forms}
    if 2 * counts[readings.dotted].sum() > counts.sum():
        return max(("day_first", "year_first"), key=lambda form: fitting[form]), None
    tied = [form for form in forms if fitting[form] == max(fitting.values())]
    span = {form: readings.span_days(form) for form in tied}
    best = min(tied, key=lambda form: span[form] > max(31.0, _MUCH_LONGER * min(span.values())))
    return best, next((form for form in tied if form != best), None)


def _unambiguous(words: list[str]) -> str:
    """Name what most dates look like that have one reading only."""
    if 2 * are_digits(words).sum() > len(words):
        return "compact"
    named = sum(not word[:4].isdecimal() and _MONTH.search(word) is not None for word in words)
    return "month_name" if 2 * named > len(words) else "iso"


def _share_of_times(words: list[str], counts: Ints, form: str) -> float:
    """Return the share of the cells that are times in this or another format of dates."""
    return float(counts[_is_time_like(parse_times(words, form))].sum() / counts.sum())


def _is_read(moments: Moments) -> Bools:
    return are_fine(moments.codes)


def _is_time_like(moments: Moments) -> Bools:
    """Tell which texts are times in any format, those included that are not read."""
    return np.asarray(moments.codes != "not_a_time", dtype=np.bool_)


def _utc_naive(series: pd.Series) -> pd.Series:
    """Bring times to UTC and drop the zone."""
    if isinstance(series.dtype, pd.ArrowDtype):
        series = pa.chunked_array(series.array.__arrow_array__()).to_pandas()
    zone = getattr(series.dt, "tz", None)
    return series if zone is None else series.dt.tz_convert("UTC").dt.tz_localize(None)


def _as_nanoseconds(times: pd.Series) -> tuple[Times, Codes]:
    """Convert typed times to datetime64[ns]; what that cannot hold is open-ended."""
    values = times.to_numpy()
    before, after = values < _FIRST, values >= _AFTER_LAST
    values = np.where(before | after, np.datetime64("NaT"), values).astype("datetime64[ns]")
    values[before], values[after] = OPEN_START, OPEN_END
    return values, np.full(len(times), None, dtype=object)


def _from_moments(moments: Moments) -> tuple[Times, Codes]:
    """Convert parsed times to datetime64[ns]; what that cannot hold is open-ended."""
    seconds, codes = moments.seconds, moments.codes.copy()
    usable = _is_read(moments)
    codes[usable & ((seconds < _YEAR_1_S) | (seconds > _YEAR_9999_S))] = "time_out_of_range"
    usable &= are_fine(codes)
    inside = usable & (seconds >= _FIRST_S) & (seconds <= _LAST_S)
    values = np.full(len(seconds), "NaT", dtype="datetime64[ns]")
    total = seconds[inside] * 1_000_000_000 + moments.nanos[inside]
    values[inside] = total.astype("datetime64[ns]")
    values[usable & (seconds < _FIRST_S)] = OPEN_START
    values[usable & (seconds > _LAST_S)] = OPEN_END
    return values, codes


def _times_from_numbers(series: pd.Series, form: str | None) -> tuple[Times, Codes]:
    """Read numbers that stand for times; without a format no number is a time."""
    values, codes = read_numbers(series)
    present = ~np.isnan(values)
    moments = _moments_of_numbers(values[present], form)
    times = np.full(len(values), "NaT", dtype="datetime64[ns]")
    times[present], codes[present] = _from_moments(moments)
    return times, codes


def _moments_of_numbers(values: Floats, form: str | None) -> Moments:
    zeros = np.zeros(len(values), dtype=np.int64)
    if form == "compact" or n_digits(form):
        distinct, place = np.unique(values, return_inverse=True)
        parsed = _parsed_digits([_digits(value) for value in distinct], form or "")
        return Moments(parsed.seconds[place], parsed.nanos[place], parsed.codes[place])
    if form == "excel":
        seconds = np.round((values - _EXCEL_EPOCH) * 86_400.0, 3)
    elif form in PER_SECOND:
        seconds = values / PER_SECOND[form]
    else:
        return Moments(zeros, zeros, np.full(len(values), "not_a_time", dtype=object))
    codes = np.full(len(values), None, dtype=object)
    far = np.abs(seconds) > 2.0 * _YEAR_9999_S
    codes[far] = "time_out_of_range"
    micros = np.round(np.where(far, 0.0, seconds) * 1e6).astype(np.int64)
    return Moments(micros // 1_000_000, micros % 1_000_000 * 1000, codes)


def _parsed_digits(words: list[str], form: str) -> Moments:
    """Parse words; the noughts that digits have lost in front, 10324 for 010324, are put back."""
    width = n_digits(form)
    words = [word.zfill(width) if word.isdecimal() else word for word in words] if width else words
    return parse_times(words, "iso" if form == "compact" else form)


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 0 and value.is_integer() else ""


def _times_from_objects(series: pd.Series, form: str) -> tuple[Times, Codes]:
    """Read text and Python dates; each distinct value is parsed once."""
    places, distinct = distinct_cells(series)
    words = [_time_word(cell) for cell in distinct]
    values, codes = _times_from_words(words, form)
    codes[[word == "" for word in words]] = None
    return (
        np.append(values, np.datetime64("NaT", "ns"))[places],
        np.append(codes, np.array([None], dtype=object))[places],
    )


def _times_from_words(words: list[str], form: str) -> tuple[Times, Codes]:
    """Parse words; where the format is a number's, those that are numbers are read as such."""
    values, codes = _from_moments(_parsed_digits(words, form))
    if form in PER_SECOND or form == "excel":
        numbers, bad = read_numbers(pd.Series(words, dtype=object))
        counted = are_fine(bad) & ~np.isnan(numbers)
        values[counted], codes[counted] = _from_moments(_moments_of_numbers(numbers[counted], form))
    return values, codes


def _time_word(cell: object) -> str:
    """Write a cell as the text to parse; "" where it is missing."""
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    if isinstance(cell, pd.Period):
        return cell.start_time.isoformat()
    text = str(cell).strip()
    if "0" <= text[:1] <= "9" and text[:2] != "00" and "#" not in text:
        return text  # most cells: no word
    word = text.lower()
    if word in MISSING_WORDS or (word.startswith("00") and _NO_DATE.fullmatch(word)):
        return ""
    return _INFINITE.get(word, text)
