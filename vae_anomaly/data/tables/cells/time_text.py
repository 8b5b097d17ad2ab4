"""Parse text as times: strictly, each shape by its own pattern, many cells at once.

Dates with the year first or the month's name, and dotted dates (day first), have one reading and
are read in any column. ``03/04/2024`` has two, and which is meant is said by the column's format
(`vae_anomaly.data.tables.cells.time_formats`); without it such a cell is bad, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vae_anomaly.arrays import Bools, Ints, Objects
from vae_anomaly.data.tables.cells.time_formats import pattern_of

_ZONE = (
    r"(?P<zone>[Zz]|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|[A-Za-z]{2,5}|[A-Za-z]+/[A-Za-z_/]+"
    r"|\[[^\]]*\])?(?:\[[^\]]*\])?"
)
_CLOCK = (
    r"(?P<hour>\d{1,2})(?:[:.hH](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?(?:\s*Uhr)?\s*" + _ZONE
)
_TIME = rf"(?:(?:[T,:]\s*|,?\s+(?:-\s|at\s|um\s)?){_CLOCK})?"
_DAY_NAME = r"(?:\pL{2,10}\.?,?\s+)?"
_NAME = r"(?P<name>\pL{3,12})\.?"
_ONE_READING: Final = (
    r"(?P<year>\d{4})(?:[-/.]|\. |年)(?P<month>\d{1,2})(?:[-/.]|\. |月)(?P<day>\d{1,2})[.日]?"
    + _TIME,
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[T _-]?(?P<hour>\d{2}):?(?P<minute>\d{2})"
    r"(?::?(?P<second>\d{2})(?:[.,]?(?P<fraction>\d+))?)?" + _ZONE + ")?",
    r"(?P<year>\d{4})-?(?P<month>\d{2})",
    _DAY_NAME
    + r"(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?[-/. ]*(?:of |de )?"
    + _NAME
    + r"[-/., ]*(?:de )?(?P<year>\d{4}|\d{2})"
    + _TIME,
    _DAY_NAME + _NAME + r"[- ]+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?[- ]+(?P<year>\d{4})" + _TIME,
    rf"{_DAY_NAME}{_NAME}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}\s+(?P<year>\d{{4}})",
    r"(?P<year>\d{4})[-/ ]" + _NAME + r"[-/ ](?P<day>\d{1,2})" + _TIME,
)
_COMPACT_PLACE: Final = 1
_THREE_DIGITS: Final = re.compile(r"[0-9].*?[0-9].*?[0-9]", re.DOTALL)
_TWO_READINGS: Final = (
    r"(?P<first>\d{1,2})(?P<mark>[-/.])\s?(?P<second_part>\d{1,2})[-/.]\s?(?P<third>\d{4}|\d{2})"
    + _TIME
)
_OF_DAY: Final = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?(?:\s*Uhr)?" + _ZONE
)
_MONTHS: Final = (
    "jan january januar januari jänner janv janvier ene enero gen gennaio janeiro",
    "feb february februar februari févr fév février fevereiro febrero febbraio",
    "mar march mär märz maerz mrz mars marzo março maart mrt",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio maio mei",
    "jun june juni juin junio giu giugno junho",
    "jul july juli juil juillet julio lug luglio julho",
    "aug august août aout ago agosto augustus",
    "sep sept september septembre septiembre set settembre setembro",
    "oct october okt oktober octobre octubre ott ottobre outubro",
    "nov november novembre noviembre novembro",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro",
)
_MONTH_OF: Final = {
    name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()
}
_YEARS_OF_DIGITS: Final = (1900, 2100)  # elsewhere eight digits are no date; 9999 and 1 are open
_PIVOT: Final = 69  # two digits of a year, as POSIX reads them: 1969 to 2068


@dataclass(frozen=True)
class Moments:
    """Times of N texts, far beyond what datetime64[ns] can hold."""

    seconds: Ints  # (N,), since 1970, UTC
    nanos: Ints  # (N,), beside them
    codes: Objects  # (N,), None where a text was read, else why not


@dataclass(frozen=True)
class _Dates:
    """Days of the calendar, as one pattern finds them in M texts."""

    days: Ints  # (M,), since 1970
    is_date: Bools  # (M,)
    is_other: Bools  # (M,), whether it would be a date in another format


@dataclass(frozen=True)
class TwoReadings:
    """The parts of dates such as 03/04/24, of which day and month are not told apart."""

    places: Ints  # (M,), which texts are such dates
    parts: Ints  # (M, 3)
    dotted: Bools  # (M,)
    short_year: Bools  # (M,), whether the third part has two digits

    def is_date(self, form: str) -> Bools:
        """Tell which of them are dates in a format, shape (M,)."""
        return _is_day(*self.dates(form)) & (self.short_year | (form != "year_first"))

    def span_days(self, form: str) -> int:
        """Return the days from the first to the last date in a format."""
        fits = self.is_date(form)
        days = _days(*(part[fits] for part in self.dates(form)))
        return int(np.ptp(days)) if len(days) else 0

    def dates(self, form: str) -> tuple[Ints, Ints, Ints]:
        """Return year, month and day as a format reads them, shape (M,) each."""
        first, second, third = self.parts.T
        if form == "year_first":
            return _full_year(first), second, third
        year = np.where(self.short_year, _full_year(third), third)
        return (year, second, first) if form == "day_first" else (year, first, second)


def parse_times(texts: Sequence[str], form: str) -> Moments:
    """Parse texts in a column's format; see `Moments.codes` for what was not read."""
    out = Moments(
        np.zeros(len(texts), dtype=np.int64),
        np.zeros(len(texts), dtype=np.int64),
        np.full(len(texts), "not_a_time", dtype=object),
    )
    cells, left = pa.array(texts, pa.string()), _possible(texts, form)
    for pattern in _patterns(form):
        if not len(left):
            break
        fields, found = _extract(cells.take(pa.array(left)), pattern)
        _put(out, left[found], fields, _date_of(fields, pattern, form))
        left = np.delete(left, found)
    return out


def _possible(texts: Sequence[str], form: str) -> Ints:
    """Return the places of the texts that have the digits of a day and a year; fast."""
    if "%" in form:
        return np.arange(len(texts))
    if form == "time_of_day":
        return np.flatnonzero([":" in text for text in texts])
    return np.flatnonzero([_THREE_DIGITS.search(text) is not None for text in texts])


def _patterns(form: str) -> list[str]:
    """Return the patterns to try, the likeliest first."""
    if "%" in form:
        return [pattern_of(form), *_ONE_READING, _TWO_READINGS]
    if form == "time_of_day":
        return [_OF_DAY, *_ONE_READING]
    if form in {"day_first", "month_first", "year_first"}:
        return [_TWO_READINGS, *_ONE_READING]
    named = form == "month_name"
    return [*sorted(_ONE_READING, key=lambda one: (_NAME in one) != named), _TWO_READINGS]


def two_readings(texts: Sequence[str]) -> TwoReadings:
    """Return the dates among texts of which day and month are not told apart."""
    return _two_readings(*_extract(pa.array(texts, pa.string()), _TWO_READINGS))


def are_digits(texts: Sequence[str]) -> Bools:
    """Tell which texts are dates of digits only, as 20240301, shape (N,)."""
    out = np.zeros(len(texts), dtype=np.bool_)
    out[_extract(pa.array(texts, pa.string()), _ONE_READING[_COMPACT_PLACE])[1]] = True
    return out


def _has_one_reading(dates: TwoReadings, form: str) -> Bools:
    """Tell which dates a column's format covers; dotted dates are day first in every column."""
    if form == "day_first":
        return np.ones(len(dates.dotted), dtype=np.bool_)
    if form in {"month_first", "year_first"}:
        return ~dates.dotted | (form == "year_first")
    return dates.dotted & ~dates.short_year


def _extract(texts: pa.Array, pattern: str) -> tuple[dict[str, pa.Array], Ints]:
    """Return the named groups of the texts that a pattern matches wholly, and their places."""
    found = pc.extract_regex(texts, f"^{pattern}$")
    places = np.flatnonzero(np.asarray(found.is_valid()))
    found = found.take(pa.array(places))
    return {field.name: pc.struct_field(found, field.name) for field in found.type}, places


def _two_readings(fields: dict[str, pa.Array], places: Ints) -> TwoReadings:
    names = ("first", "second_part", "third")
    return TwoReadings(
        places,
        np.stack([_whole(fields, name) for name in names], axis=1),
        np.asarray(pc.equal(fields["mark"], "."), dtype=np.bool_),
        np.asarray(pc.equal(pc.utf8_length(fields["third"]), 2), dtype=np.bool_),
    )


def _date_of(fields: dict[str, pa.Array], pattern: str, form: str) -> _Dates:
    if pattern == _TWO_READINGS:
        return _date_of_two(_two_readings(fields, np.zeros(0, dtype=np.int64)), form)
    if pattern == _OF_DAY:
        return _first_day(len(fields["hour"]))
    year = _whole(fields, "year")
    short = np.asarray(pc.equal(pc.utf8_length(fields["year"]), 2), dtype=np.bool_)
    year = np.where(short, _full_year(year), year)
    month = _month_of(fields["name"]) if "name" in fields else _whole(fields, "month")
    day = _whole(fields, "day") if "day" in fields else np.ones_like(year)
    is_date = _is_day(year, month, day)
    if pattern == _ONE_READING[_COMPACT_PLACE] or "day" not in fields:
        low, high = _YEARS_OF_DIGITS
        is_date &= ((year >= low) & (year <= high)) | (year == 9999) | (year == 1)
    return _Dates(_days(year, month, day), is_date, np.zeros_like(is_date))


def _first_day(n: int) -> _Dates:
    """Return 1 January 1970 n times, the day of a time without one."""
    return _Dates(np.zeros(n, np.int64), np.ones(n, np.bool_), np.zeros(n, np.bool_))


def _date_of_two(dates: TwoReadings, form: str) -> _Dates:
    forms = ("day_first", "month_first", "year_first")
    reading = form if form in forms else "day_first"
    is_date = dates.is_date(reading) & _has_one_reading(dates, form)
    is_any = np.any([dates.is_date(one) for one in forms], axis=0)
    return _Dates(_days(*dates.dates(reading)), is_date, is_any & ~is_date)


def _put(out: Moments, places: Ints, fields: dict[str, pa.Array], dates: _Dates) -> None:
    """Write down the times of the texts at some places, or why they are none."""
    second_of_day, is_time = _second_of_day(fields, len(places))
    offset, is_zone = _offset(fields, len(places))
    good = dates.is_date & is_time & is_zone
    out.seconds[places[good]] = (dates.days * 86_400 + second_of_day - offset)[good]
    out.nanos[places[good]] = _nanos(fields, len(places))[good]
    out.codes[places[good]] = None
    out.codes[places[dates.is_date & is_time & ~is_zone]] = "time_zone_name"
    out.codes[places[dates.is_other]] = "other_time_format"


def _second_of_day(fields: dict[str, pa.Array], n: int) -> tuple[Ints, Bools]:
    """Return seconds since midnight, and whether there is such a time; 24:00 is the next day's."""
    hour, minute, second = (_whole(fields, name, n) for name in ("hour", "minute", "second"))
    half, place = _words(fields, "half", n)
    is_half = np.array([word != "" for word in half], dtype=np.bool_)[place]
    is_after_noon = np.array([word.startswith("p") for word in half], dtype=np.bool_)[place]
    is_time = (minute < 60) & (second <= 60) & (hour <= np.where(is_half, 12, 24))
    is_time &= (hour < 24) | ((minute == 0) & (second == 0))
    hour = np.where(is_half, hour % 12 + 12 * is_after_noon, hour)
    return hour * 3600 + minute * 60 + second, is_time


def _offset(fields: dict[str, pa.Array], n: int) -> tuple[Ints, Bools]:
    """Return seconds east of Greenwich, and whether the zone is known."""
    zones, place = _words(fields, "zone", n)
    known = [_offset_of(zone) for zone in zones]
    offsets = np.array([0 if one is None else one for one in known], dtype=np.int64)
    is_known = np.array([one is not None for one in known], dtype=np.bool_)
    return offsets[place], is_known[place]


def _offset_of(zone: str) -> int | None:
    """Return seconds east of Greenwich; letters other than UTC have no one meaning."""
    digits = zone.removeprefix("utc").removeprefix("gmt")
    if digits in {"", "z"}:
        return 0
    if digits[0] not in "+-":
        return None
    clock = digits[1:].replace(":", "")
    hours, minutes = (clock[:-2], clock[-2:]) if len(clock) > 2 else (clock, "0")
    seconds = int(hours) * 3600 + int(minutes) * 60
    return -seconds if digits[0] == "-" else seconds


def _nanos(fields: dict[str, pa.Array], n: int) -> Ints:
    if "fraction" not in fields:
        return np.zeros(n, dtype=np.int64)
    digits = pc.utf8_slice_codeunits(pc.utf8_rpad(fields["fraction"], 9, "0"), 0, 9)
    return np.asarray(digits.cast(pa.int64()), dtype=np.int64)


def _whole(fields: dict[str, pa.Array], name: str, n: int = 0) -> Ints:
    """Return a group as whole numbers, 0 where it is empty."""
    if name not in fields:
        return np.zeros(n, dtype=np.int64)
    texts = fields[name]
    return np.asarray(pc.if_else(pc.equal(texts, ""), "0", texts).cast(pa.int64()), dtype=np.int64)


def _words(fields: dict[str, pa.Array], name: str, n: int) -> tuple[list[str], Ints]:
    """Return the distinct words of a group in lower case, and which of them each text has."""
    if name not in fields:
        return [""], np.zeros(n, dtype=np.int64)
    coded = fields[name].dictionary_encode()
    return [word.lower() for word in coded.dictionary.to_pylist()], np.asarray(coded.indices)


def _month_of(names: pa.Array) -> Ints:
    words, place = _words({"name": names}, "name", len(names))
    return np.array([_MONTH_OF.get(word, 0) for word in words], dtype=np.int64)[place]


def _full_year(year: Ints) -> Ints:
    return np.where(year < _PIVOT, 2000, 1900) + year


def _is_day(year: Ints, month: Ints, day: Ints) -> Bools:
    """Tell which are days of the calendar."""
    fits = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    following = _days(year, np.where(fits, month, 1) + 1, np.ones_like(day))
    first = _days(year, np.where(fits, month, 1), np.ones_like(day))
    return fits & (day <= following - first)


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Return days since 1970."""
    months = (year - 1970) * 12 + month - 1
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
