"""Read cells as UTC times; tell how dates and numbers since 1970 are written."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime
from typing import Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from vae_anomaly.arrays import Floats, Times
from vae_anomaly.data.tables.cells.numbers import read_numbers
from vae_anomaly.data.tables.cells.storage import (
    MISSING_WORDS,
    Codes,
    dense,
    distinct_cells,
    storage_of,
    storage_of_type,
)

TimeFormat = Literal[
    "iso", "day_first", "month_first", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"
]
_ISO_TIME = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?", re.DOTALL)
_SLASHED_TIME = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([T ].*)?", re.DOTALL)
_EPOCH_UNITS: Final = {"epoch_s": 1e0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}
_FIRST_YEAR, _LAST_YEAR = 1678, 2261  # what datetime64[ns] can hold


def read_times(series: pd.Series, form: TimeFormat | None = None) -> tuple[Times, Codes]:
    """Read a column as UTC times.

    Parameters
    ----------
    series : pandas.Series of length N
        Dates, times with or without zone (without one they count as UTC), or text.
    form : str, optional
        How text and numbers are written: "iso" (default: year first), "day_first", "month_first",
        or "epoch_s", "epoch_ms", "epoch_us", "epoch_ns" for numbers since 1970.

    Returns
    -------
    values : ndarray of shape (N,), datetime64[ns]
        NaT where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "not_a_time" or "time_out_of_range".
    """
    series = dense(series)
    if storage_of(series) == "number":
        return _times_from_numbers(series, form)
    if storage_of_type(series.dtype) == "time":
        return _as_nanoseconds(_utc_naive(series), np.full(len(series), None, dtype=object))
    return _times_from_objects(series, form or "iso")


def is_time_text(text: str) -> bool:
    """Tell whether text has the shape of a date with four-digit year."""
    return (_ISO_TIME.fullmatch(text) or _SLASHED_TIME.fullmatch(text)) is not None


def time_format_of(texts: Collection[str]) -> TimeFormat:
    """Tell how dates are written, from all of them.

    Returns
    -------
    {"iso", "day_first", "month_first"}
        "month_first" also when no date decides, as 03/04/2024 alone does not.
    """
    slashed = [text for text in texts if _SLASHED_TIME.fullmatch(text)]
    if len(slashed) * 2 <= len(texts):
        return "iso"
    over_twelve = any(int(re.split(r"[-/.]", text, maxsplit=1)[0]) > 12 for text in slashed)
    return "day_first" if over_twelve else "month_first"


def epoch_unit_of(values: Floats) -> TimeFormat:
    """Guess the unit of numbers that count from 1970, by their size."""
    typical = float(np.nanmedian(np.abs(values)))
    bounds: tuple[tuple[TimeFormat, float], ...] = (
        ("epoch_s", 1e11),
        ("epoch_ms", 1e14),
        ("epoch_us", 1e17),
    )
    return next((unit for unit, bound in bounds if typical < bound), "epoch_ns")


def _utc_naive(series: pd.Series) -> pd.Series:
    """Bring times to UTC and drop the zone."""
    if isinstance(series.dtype, pd.ArrowDtype):
        series = pa.chunked_array(series.array.__arrow_array__()).to_pandas()
    zone = getattr(series.dt, "tz", None)
    return series if zone is None else series.dt.tz_convert("UTC").dt.tz_localize(None)


def _as_nanoseconds(times: pd.Series, codes: Codes) -> tuple[Times, Codes]:
    """Convert to datetime64[ns]; what that cannot hold becomes NaT and bad."""
    years = times.dt.year.to_numpy(dtype=np.float64, na_value=np.nan)
    outside = (years < _FIRST_YEAR) | (years > _LAST_YEAR)
    codes[outside] = "time_out_of_range"
    return times.mask(outside).to_numpy(dtype="datetime64[ns]"), codes


def _times_from_numbers(series: pd.Series, form: TimeFormat | None) -> tuple[Times, Codes]:
    """Read numbers since 1970; without a unit no number is a time."""
    values, codes = read_numbers(series)
    present = ~np.isnan(values)
    if form not in _EPOCH_UNITS:
        codes[present] = "not_a_time"
        return np.full(len(series), "NaT", dtype="datetime64[ns]"), codes
    seconds = values / _EPOCH_UNITS[form]
    outside = present & (np.abs(seconds) > 9.2e9)  # 1678 .. 2261
    codes[outside] = "time_out_of_range"
    usable = present & ~outside
    out = np.full(len(series), "NaT", dtype="datetime64[ns]")
    out[usable] = np.round(seconds[usable] * 1e6).astype("int64").astype("datetime64[us]")
    return out, codes


def _times_from_objects(series: pd.Series, form: TimeFormat) -> tuple[Times, Codes]:
    """Read text and Python dates; each distinct value is parsed once."""
    places, distinct = distinct_cells(series)
    words = [_time_word(cell) for cell in distinct]
    missing = np.array([*(word == "" for word in words), True], dtype=bool)
    parsed = _parse_times([word or None for word in words], form)
    values, codes = _as_nanoseconds(parsed, np.full(len(words), None, dtype=object))
    unread = (
        np.isnat(values) & ~missing[:-1] & np.array([code is None for code in codes], dtype=bool)
    )
    codes[unread] = "not_a_time"
    return (
        np.append(values, np.datetime64("NaT", "ns"))[places],
        np.append(codes, np.array([None], dtype=object))[places],
    )


def _time_word(cell: object) -> str:
    """Write a cell as the text to parse; "" where it is missing."""
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    text = str(cell).strip()
    return "" if text.lower() in MISSING_WORDS else text


def _parse_times(words: list[str | None], form: TimeFormat) -> pd.Series:
    """Parse text to naive UTC times; NaT where it does not have the declared shape."""
    shape = _ISO_TIME if form == "iso" else _SLASHED_TIME
    fitting = [
        word if word and (shape.fullmatch(word) or _ISO_TIME.fullmatch(word)) else None
        for word in words
    ]
    parsed = pd.to_datetime(
        pd.Series(fitting, dtype=object),
        format="mixed",
        dayfirst=form == "day_first",
        errors="coerce",
        utc=True,
    )
    return parsed.dt.tz_localize(None)
