"""Numbers, shares, times and names as people say them.

Nothing here knows of models. What is said has no exponent and no "nan", is rounded to what a
listener can use, and two numbers that are compared never read the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from vae_anomaly.names import printable

MOST_CHARACTERS = 140  # of a reason
_NAME_CHARACTERS = 40
_MOST_READ = 1_000  # of a cell
_CELL_CHARACTERS = 30
_MOST_DECIMALS = 12
_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)  # leading digits
_LARGE = ((1e12, "trillion"), (1e9, "billion"))
_SMALL = ((1e-6, "millionth"), (1e-9, "billionth"), (1e-12, "trillionth"))
_SMALL_FROM = 1e-4  # below, nobody counts the zeros
_FINE, _COARSE = 200.0, 20.0  # steps of a value, and of a usual range, in its width
_FAR_OUT = 1e3  # widths of a range
_CENTS = 2  # decimals of money
_ONE_MORE = 3  # decimals of small numbers that are compared
_FEW = {1: "once", 2: "twice"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Scale:
    """How the numbers of a column are said.

    Parameters
    ----------
    width : float
        Of the range where most of its numbers lie; what is said is rounded to a fraction of it.
    decimals : int or None
        That its cells are written with; None where they have many.
    is_code : bool
        Whether they are years, postal codes, ports, ..., which have no comma.
    """

    width: float = 0.0
    decimals: int | None = None
    is_code: bool = False

    def number(self, value: float, *others: float) -> str:
        """Say a number; with more decimals where it would read like one of the others."""
        said = self._rounded(value, _FINE)
        others = tuple(other for other in others if other != value)
        if said in [self._rounded(other, _FINE) for other in others]:
            return _told_apart(value, others)
        return said

    def between(self, low: float, high: float, value: float) -> str:
        """Say a range that ``value`` lies outside of: ``20 to 180``, or ``up to 180`` from 0 on."""
        coarse = replace(self, width=high - low)
        near, far = coarse._step_of(low, value), coarse._step_of(high, value)
        texts = [self._rounded(end, _COARSE) for end in (near, far)]
        if self.number(value, low, high) in texts or near <= value <= far:
            texts = [self.number(end, value) for end in (low, high)]
        if texts[0] == texts[1]:
            return texts[0]
        if near == 0.0 < low:
            return f"up to {texts[1]}"
        return f"{_in_unit_of(texts[1], near, texts[0])} to {texts[1]}"

    def whole_range(self, low: float, high: float) -> str:
        """Say a range, wherever the value lies that it stands beside."""
        return self.between(low, high, high + _FAR_OUT * max(high - low, abs(high), 1.0))

    def _step_of(self, end: float, value: float) -> float:
        """Round one end of the range, unless the value would then lie within it."""
        step = 10.0 ** math.floor(math.log10(self.width / _COARSE)) if self.width > 0.0 else 0.0
        rounded = round(end / step) * step if step > 0.0 else end
        return rounded if (rounded < value) == (end < value) and rounded != value else end

    def _rounded(self, value: float, steps: float) -> str:
        if value == round(value):
            return f"{value:.0f}" if self.is_code and abs(value) < _LARGE[-1][0] else _whole(value)
        if self.decimals == _CENTS and 0.01 <= abs(value) < 1000.0:
            return f"{value:,.{_CENTS}f}".removesuffix(".00")
        if abs(value) < _SMALL_FROM and self.width < 1.0 / _FINE:
            return _small(value)
        size = self.width / steps if self.width > 0.0 else abs(value) / _FINE
        needed = max(-round(math.log10(size)), 0) if size > 0.0 else _MOST_DECIMALS
        return _decimal(value, min(needed, _MOST_DECIMALS, *_known(self.decimals)))


def _known(decimals: int | None) -> tuple[int, ...]:
    return () if decimals is None else (decimals,)


def _decimal(value: float, decimals: int) -> str:
    """Write a number with at most so many decimals, without zeros at its end."""
    if abs(value) >= _LARGE[-1][0]:
        return _whole(value)
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _whole(value: float) -> str:
    size = abs(value)
    if size >= 1e15:
        digits = math.floor(math.log10(size)) + 1
        return f"a {'negative ' if value < 0.0 else ''}number of {digits} digits"
    for unit, name in _LARGE:
        if size >= unit:
            return f"{_decimal(value / unit, 1)} {name}"
    return f"{value:,.0f}" if round(value) else "0"


def _in_unit_of(other: str, value: float, text: str) -> str:
    """Write a number in the unit of another, ``0.2 billion`` beside ``4.1 billion``."""
    for unit, name in _LARGE:
        if other.endswith(name) and unit > abs(value) >= unit / 100.0:
            return f"{_decimal(value / unit, _CENTS)} {name}"
    return text


def _small(value: float, decimals: int = 1) -> str:
    """Write a number below `_SMALL_FROM`: ``33 billionths``."""
    for unit, name in _SMALL:
        if abs(value) >= unit or (unit == _SMALL[-1][0] and abs(value) >= unit / 10.0):
            text = _decimal(value / unit, decimals)
            return f"{text} {name}" if text == "1" else f"{text} {name}s"
    return "almost 0" if value else "0"


def _told_apart(value: float, others: Sequence[float]) -> str:
    """Write a number with as many decimals as set it apart from others."""
    if 0.0 < abs(value) < _SMALL_FROM:
        return _small(value, _ONE_MORE)
    for decimals in range(_MOST_DECIMALS + 1):
        text = _decimal(value, decimals)
        if text not in [_decimal(other, decimals) for other in others]:
            return text
    return _decimal(value, _MOST_DECIMALS)


def round_number(value: float) -> float:
    """Round to what people say: 1, 1.2, 1.5, 2, 2.5, 3 to 9, and tenfold."""
    size = 10.0 ** math.floor(math.log10(value))
    return min(_ROUND, key=lambda digit: abs(digit - value / size)) * size


def share_words(share: float) -> str:
    """Say a share above 0: ``1 in 300``; above a third as a percentage."""
    if share > 1.0 / 3.0:
        return f"{100.0 * share:.0f} %"
    n = 1.0 / share
    return f"1 in {_whole(round(n) if n < 15.0 else round_number(n))}"


def multiple(ratio: float) -> str:
    """Say a ratio of at least 1.5: ``twice``, ``2.5 times``, ``40 times``."""
    if 1.75 <= ratio < 2.25:
        return "twice"
    if ratio < 10.0:
        return f"{_decimal(round(2.0 * ratio) / 2.0 if ratio < 3.0 else round(ratio), 1)} times"
    if ratio >= 1000.0:
        return "over 1,000 times"
    return f"{_whole(round(ratio) if ratio < 100.0 else round_number(ratio))} times"


def count_words(n: float, noun: str) -> str:
    """Say how many: ``1 day``, ``3 days``."""
    return f"{_whole(round(n))} {noun}" if round(n) == 1 else f"{_whole(round(n))} {noun}s"


def duration(seconds: float) -> str:
    """Say a length of time, at least 0, in the unit that suits it."""
    if seconds < 60.0:
        return count_words(seconds, "second")
    if seconds < 3600.0:
        return count_words(seconds / 60.0, "minute")
    if seconds < 48.0 * 3600.0:
        return count_words(seconds / 3600.0, "hour")
    days = seconds / 86_400.0
    if days < 90.0:
        return count_words(days, "day")
    months = round(days / 30.44)
    if months >= 24 or months == 12:
        return count_words(days / 365.25, "year")
    return count_words(months, "month")


def duration_range(low_s: float, high_s: float) -> str:
    """Say between which lengths of time: ``14 to 60 days``, ``3 hours to 2 days``."""
    low, high = duration(low_s), duration(high_s)
    if low == high:
        return low
    if low_s < 1.0:
        return f"up to {high}"
    number, unit = low.split(" ")
    return f"{number} to {high}" if high.split(" ")[1].startswith(unit) else f"{low} to {high}"


def seen_words(share: float, n: int) -> str:
    """Say how often a value was among ``n`` training cells; ``n`` is 0 where it is not known."""
    count = round(share * n)
    if share <= 0.0:
        return "never seen in training"
    if count in _FEW:
        return f"seen {_FEW[count]} in {n:,} training rows"
    return f"seen in {share_words(share)} training rows"


def moment(time: pd.Timestamp, *, clock: bool) -> str:
    """Say a point in time: ``Sunday, 03:12``; or a day: ``1 March 2026``.

    On 1 January 1970, which stands for no date, the clock alone is said.
    """
    if time.normalize() == pd.Timestamp(0):
        return f"{time:%H:%M}"
    return f"{DAYS[time.weekday()]}, {time:%H:%M}" if clock else f"{time.day} {time:%B %Y}"


def name_of(text: object, characters: int = _NAME_CHARACTERS) -> str:
    """Write a name in one line of so many characters."""
    line = printable(" ".join(str(text)[:_MOST_READ].split()), lines=False)
    return line if len(line) <= characters else f"{line[: characters - 1].rstrip()}…"


def quoted(text: object) -> str:
    """Write a category between quotes."""
    return f"'{name_of(text, _CELL_CHARACTERS)}'"


def listed(parts: Sequence[str]) -> str:
    """Join parts as ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def fitted(text: str) -> str:
    """Cut a text to the length of a reason, at a word."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[: MOST_CHARACTERS - 1].rsplit(' ', 1)[0].rstrip(' ,;:')}…"
