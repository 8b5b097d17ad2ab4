"""How a column of times is written: the words for it, and patterns as ``strptime`` takes them."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from vae_anomaly.errors import did_you_mean

FORMAT_WORDS: Final = {
    "iso": "year first",
    "day_first": "day first",
    "month_first": "month first",
    "year_first": "two digits of the year first",
    "month_name": "with the month's name",
    "compact": "digits only, year first",
    "time_of_day": "the time of day, without a date",
    "epoch_s": "seconds since 1970",
    "epoch_ms": "milliseconds since 1970",
    "epoch_us": "microseconds since 1970",
    "epoch_ns": "nanoseconds since 1970",
    "excel": "days of a spreadsheet",
}
PER_SECOND: Final = {"epoch_s": 1e0, "epoch_ms": 1e3, "epoch_us": 1e6, "epoch_ns": 1e9}
_OF_NUMBERS: Final = frozenset({"compact", "excel", *PER_SECOND})

_DIRECTIVES: Final = {
    "d": r"(?P<day>\d{1,2})",
    "m": r"(?P<month>\d{1,2})",
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<year>\d{2})",
    "b": r"(?P<name>\pL{3,12})\.?",
    "B": r"(?P<name>\pL{3,12})\.?",
    "a": r"\pL{2,10}\.?",
    "A": r"\pL{2,10}",
    "H": r"(?P<hour>\d{1,2})",
    "I": r"(?P<hour>\d{1,2})",
    "M": r"(?P<minute>\d{1,2})",
    "S": r"(?P<second>\d{1,2})",
    "f": r"(?P<fraction>\d{1,9})",
    "p": r"(?P<half>[AaPp]\.?[Mm]\.?)",
    "z": r"(?P<zone>[Zz]|[+-]\d{2}(?::?\d{2})?)",
    "%": "%",
}


def check_time_format(form: str) -> str:
    """Return a format that is known; a ValueError says which are."""
    if form in FORMAT_WORDS or ("%" in form and pattern_of(form)):
        return form
    raise ValueError(
        f"time format {form!r} does not exist{did_you_mean(form, [*FORMAT_WORDS])}. "
        f"Formats: {', '.join(FORMAT_WORDS)}, or a pattern such as '%d.%m.%Y %H:%M'"
    )


TimeFormat = Annotated[str, AfterValidator(check_time_format)]
"""One of `FORMAT_WORDS`, or a pattern of ``strptime``."""


def is_of_numbers(form: str | None) -> bool:
    """Tell whether a number is a time in a format."""
    return form in _OF_NUMBERS or n_digits(form) > 0


def n_digits(form: str | None) -> int:
    """Return the digits of a time in a pattern of nothing but digits, %y%m%d; 0 of any other."""
    directives = re.findall(r"%([dmyYHMS])", form or "")
    if "".join(f"%{one}" for one in directives) != form:
        return 0
    return sum(4 if one == "Y" else 2 for one in directives)


def words_for(form: str | None) -> str:
    """Say for people how times are written."""
    return FORMAT_WORDS.get(form or "iso", form or "")


def pattern_of(form: str) -> str:
    """Return the regular expression that a pattern of ``strptime`` stands for.

    Raises
    ------
    ValueError
        If a directive is unknown or repeated, or no full date is asked for.
    """
    parts = re.split(r"%(.)", form)
    directives = parts[1::2]
    unknown = [one for one in directives if one not in _DIRECTIVES]
    if unknown:
        raise ValueError(
            f"time format {form!r} has %{unknown[0]}, which is not read. "
            f"Directives: {' '.join('%' + one for one in _DIRECTIVES)}"
        )
    asked = [re.findall(r"<(\w+)>", _DIRECTIVES[one]) for one in directives]
    names = [name for each in asked for name in each]
    if (
        len(set(names)) < len(names)
        or not {"year", "day"} <= {*names}
        or not {"month", "name"} & {*names}
    ):
        raise ValueError(f"time format {form!r} must name year, month and day once each")
    parts[0::2] = [re.escape(text) for text in parts[0::2]]
    parts[1::2] = [_DIRECTIVES[one] for one in directives]
    return "".join(parts)
