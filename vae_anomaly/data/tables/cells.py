"""Read the cells of one column as numbers, truth values, times or text, whatever stored them.

A column may arrive as numpy, pandas nullable, categorical, sparse or Arrow-backed data, or as
Python objects. Each reader returns plain numpy values and, beside them, a code for every cell that
cannot be read. A bad cell is never an exception; a missing cell is never bad.

Missing are None, NaN, NaT, pandas.NA and text of nothing but spaces. In numeric, boolean and
timestamp columns the words of `MISSING_WORDS` are missing too; in categorical columns they are not,
because "NA" is Namibia and "none" is an answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionDtype

from vae_anomaly.arrays import Floats, Indices, Objects, Times

Storage = Literal["number", "boolean", "time", "text", "nested", "empty"]
TimeFormat = Literal[
    "iso", "day_first", "month_first", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"
]
Codes = Objects

MISSING_WORDS: Final = frozenset(
    {"", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "<na>", "?", "-"}
)
TRUE_WORDS: Final = frozenset({"true", "yes", "t", "y", "1", "1.0"})
FALSE_WORDS: Final = frozenset({"false", "no", "f", "n", "0", "0.0"})

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_WHOLE = re.compile(r"([+-]?[1-9]\d*)\.0*")
_ISO_TIME = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?", re.DOTALL)
_SLASHED_TIME = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([T ].*)?", re.DOTALL)
_EPOCH_UNITS: Final = {"epoch_s": 1e0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}
DIGITS_OF_A_FLOAT: Final = 15  # longer numbers are names, and stay as they are written
_FIRST_YEAR, _LAST_YEAR = 1678, 2261  # what datetime64[ns] can hold
_INFERRED: Final[dict[str, Storage]] = {
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "timedelta": "number",
    "timedelta64": "number",
    "boolean": "boolean",
    "date": "time",
    "datetime": "time",
    "datetime64": "time",
    "string": "text",
    "empty": "empty",
}


def storage_of(series: pd.Series) -> Storage:
    """Tell how a column is stored, from its type and, for Python objects, from its values.

    Returns
    -------
    {"number", "boolean", "time", "text", "nested", "empty"}
        "nested" stands for what no model here reads: lists, dictionaries, bytes, complex numbers.
    """
    series = _dense(series)
    by_type = _storage_of_type(series.dtype)
    if by_type is not None:
        return "empty" if by_type != "nested" and bool(series.isna().all()) else by_type
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in {"mixed", "mixed-integer", "bytes", "complex", "time", "period", "interval"}:
        return "nested" if _any_nested(series) else "text"
    return _INFERRED.get(inferred, "text")


def read_numbers(series: pd.Series) -> tuple[Floats, Codes]:
    """Read a column as float64.

    Parameters
    ----------
    series : pandas.Series of length N
        Durations are read as seconds, truth values as 0 and 1.

    Returns
    -------
    values : ndarray of shape (N,), float64
        NaN where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "infinite" or "not_a_number".
    """
    series = _dense(series)
    values = _numbers_by_type(series)
    if values is not None:
        return _without_infinite(values, np.full(len(series), None, dtype=object))
    return _by_cell(series, _number)


def read_booleans(series: pd.Series) -> tuple[Floats, Codes]:
    """Read a column as 0.0 and 1.0.

    Parameters
    ----------
    series : pandas.Series of length N
        Truth values, the numbers 0 and 1, or the words true/false, yes/no, t/f, y/n in any case.

    Returns
    -------
    values : ndarray of shape (N,), float64
        0, 1, or NaN where a cell is missing or bad.
    codes : ndarray of shape (N,), object
        None for a cell that is fine, else "not_a_boolean".
    """
    series = _dense(series)
    values = _numbers_by_type(series)
    if values is None:
        return _by_cell(series, _boolean)
    codes = np.full(len(series), None, dtype=object)
    bad = ~np.isnan(values) & (values != 0.0) & (values != 1.0)
    codes[bad] = "not_a_boolean"
    return np.where(bad, np.nan, values), codes


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
    series = _dense(series)
    if storage_of(series) == "number":
        return _times_from_numbers(series, form)
    if _storage_of_type(series.dtype) == "time":
        return _as_nanoseconds(_utc_naive(series), np.full(len(series), None, dtype=object))
    return _times_from_objects(series, form or "iso")


def read_text(series: pd.Series) -> Objects:
    """Read a column as text, the same for one value however it is stored.

    Parameters
    ----------
    series : pandas.Series of length N
        A number is written in one way, so that 1.5, "1.50" and "+1.5" are one category, and 7, 7.0
        and "7"; so are True and "TRUE". "007" is no number. Text loses the spaces around it.

    Returns
    -------
    ndarray of shape (N,), object
        str, or None where a cell is missing.
    """
    series = _dense(series)
    codes, distinct = _distinct(series)
    texts = np.array([*(_text(value) for value in distinct), None], dtype=object)
    return texts[codes]


def text_counts(series: pd.Series) -> dict[str, int]:
    """Count the distinct texts of a column, words for missing left out."""
    counts = pd.Series(read_text(series), dtype=object).value_counts()
    return {str(t): int(n) for t, n in counts.items() if str(t).lower() not in MISSING_WORDS}


def is_number_text(text: str) -> bool:
    """Tell whether text is a number, and not a code such as "007" that a number would destroy."""
    leading_zero = re.match(r"[+-]?0\d", text) is not None
    return _NUMBER.fullmatch(text) is not None and not leading_zero


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


def _dense(series: pd.Series) -> pd.Series:
    """Undo what only stores values differently: categories, sparse arrays, periods."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _dense(series.astype(dtype.categories.dtype if len(dtype.categories) else object))
    if isinstance(dtype, pd.SparseDtype):
        return pd.Series(np.asarray(series.array), index=series.index)
    if isinstance(dtype, pd.PeriodDtype):
        return pd.Series(series.dt.to_timestamp())
    if isinstance(dtype, pd.ArrowDtype) and not _arrow_is_plain(dtype.pyarrow_dtype):
        return _from_arrow(series, dtype.pyarrow_dtype)
    return series


def _arrow_is_plain(kind: pa.DataType) -> bool:
    """Tell whether pandas answers for an Arrow-backed type as it does for its own."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
    )


def _from_arrow(series: pd.Series, kind: pa.DataType) -> pd.Series:
    """Turn Arrow decimals to float64, dates to times, the rest to what pandas makes of it."""
    array = pa.chunked_array(series.array.__arrow_array__())
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
    elif pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_date(kind):
        array = array.cast(pa.timestamp("ms"))
    elif pa.types.is_null(kind):
        return pd.Series(np.full(len(series), None, dtype=object), index=series.index)
    return pd.Series(array.to_pandas()).set_axis(series.index)


def _storage_of_type(dtype: np.dtype | ExtensionDtype) -> Storage | None:
    """Tell the storage by the type alone; None where the values must be asked."""
    types = pd.api.types
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(dtype):
        return "time"
    if types.is_complex_dtype(dtype) or isinstance(dtype, pd.IntervalDtype):
        return "nested"
    if types.is_numeric_dtype(dtype) or types.is_timedelta64_dtype(dtype) or _is_duration(dtype):
        return "number"
    return None if types.is_object_dtype(dtype) else "text"


def _is_duration(dtype: np.dtype | ExtensionDtype) -> bool:
    return isinstance(dtype, pd.ArrowDtype) and bool(pa.types.is_duration(dtype.pyarrow_dtype))


def _any_nested(series: pd.Series) -> bool:
    nested = (list, dict, set, tuple, bytes, bytearray, complex, np.ndarray, pd.Interval)
    return any(isinstance(value, nested) for value in series)


def _numbers_by_type(series: pd.Series) -> Floats | None:
    """Return the values at once where the type is a number's; None where cells must be read."""
    storage = _storage_of_type(series.dtype)
    if storage not in {"number", "boolean"}:
        return None
    if pd.api.types.is_timedelta64_dtype(series.dtype) or _is_duration(series.dtype):
        series = pd.Series(series.dt.total_seconds())
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _without_infinite(values: Floats, codes: Codes) -> tuple[Floats, Codes]:
    infinite = np.isinf(values)
    codes[infinite] = "infinite"
    return np.where(infinite, np.nan, values), codes


def _by_cell(series: pd.Series, read: Callable[[object], float | None]) -> tuple[Floats, Codes]:
    """Read every distinct cell alone; `read` gives None for a cell that it cannot read."""
    places, distinct = _distinct(series)
    read_cells = [*(read(cell) for cell in distinct), math.nan]  # the last is for missing cells
    bad = np.array([value is None for value in read_cells], dtype=bool)
    values = np.array([math.nan if v is None else v for v in read_cells], dtype=np.float64)
    codes = np.full(len(read_cells), None, dtype=object)
    codes[bad] = "not_a_number" if read is _number else "not_a_boolean"
    values, codes = _without_infinite(values, codes)
    return values[places], codes[places]


def _distinct(series: pd.Series) -> tuple[Indices, pd.Index]:
    """Return the place of each cell among the distinct values (-1: missing), and these values."""
    try:
        return pd.factorize(series, use_na_sentinel=True)
    except TypeError:  # cells that cannot be hashed, such as lists
        return pd.factorize(series.map(str, na_action="ignore"), use_na_sentinel=True)


def _number(cell: Any) -> float | None:
    """Read one cell as a number; None if it is none. Text "1_000" and "0x1f" are none."""
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in MISSING_WORDS:
            return math.nan
        return float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(cell, timedelta):
        return cell.total_seconds()
    try:
        return None if isinstance(cell, (bytes, date)) else float(cell)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _boolean(cell: object) -> float | None:
    """Read one cell as 0.0 or 1.0; None if it is neither."""
    word = str(cell).strip().lower()
    if word in MISSING_WORDS:
        return math.nan
    return 1.0 if word in TRUE_WORDS else 0.0 if word in FALSE_WORDS else None


def _text(cell: object) -> str | None:
    """Write one cell as text; None for nothing but spaces."""
    text = str(cell).strip()
    if text.lower() in {"true", "false"}:
        return text.lower()
    whole = _WHOLE.fullmatch(text)  # beside a missing cell, a number of 16 digits is a float
    text = whole[1] if whole else text
    if len(text) <= DIGITS_OF_A_FLOAT and is_number_text(text):
        value = float(text)
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return text or None


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
    places, distinct = _distinct(series)
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
