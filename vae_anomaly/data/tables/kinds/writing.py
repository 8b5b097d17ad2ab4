"""Decide how a column writes its numbers, from all of its cells; say what they do not decide.

A cell proves a decimal sign when only one can stand in it: 12,50 and 0,125 and 1.234,5 a comma,
12.50 and 1,234,567 a point, 1,234 and 999 none. A column has the format that reads at least 99 of
100 cells and that some cells prove. Where cells prove both, each is read by itself, if it says
which. Where none proves any, or cells have several units, nothing is read: the person is asked.
Points that stand before three digits in all cells are decimal ones, unless smaller numbers have
none: 1.234 beside 987 is asked about.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from vae_anomaly.data.tables.cells import NumberFormat, is_number_text, some_of
from vae_anomaly.data.tables.cells.number_formats import (
    Decimal,
    WrittenNumber,
    canonical_unit,
    is_currency,
    take_apart,
    value_of,
)

MIN_SHARE_READABLE: Final = 0.99
MIN_SHARE_OF_PROOFS: Final = 0.01  # of the cells that could be read with either sign
STRAY: Final = 0.02  # of proofs of the one sign; fewer of the other are cells that are wrong
MIN_NUMBERS_IN_DOUBT: Final = 20  # distinct; fewer are a category, such as sizes
MANY_NUMBERS: Final = 0.5
SOME_NUMBERS: Final = 0.1  # beside few words
FEW_WORDS: Final = 3
MAX_UNITS: Final = 5
_DECIMAL = re.compile(r"(?<![\d.,])\d{1,3}(?:[,.' ]?\d{3})*[.,]\d{1,2}(?!\d|[.,]\d)")
_POINT_IN_THOUSANDS = re.compile(r"[+-]?(0|[1-9]\d{0,2}(\.\d{3})?)")
_LEADING_ZERO = re.compile(r"0\d")
_CODE = re.compile(r"[^\W\d_]+\.?\d+")
_UNITS: Final = frozenset(
    {
        *("%", "‰", "k", "K", "M", "Mio", "Mio.", "Mrd", "Mrd.", "bn", "CR", "DR", "am", "pm"),
        *("mg", "g", "kg", "t", "lb", "lbs", "oz", "mm", "cm", "m", "km", "mi", "in", "ft", "yd"),
        *("ml", "l", "L", "°C", "°F", "mV", "V", "mA", "A", "W", "kW", "MW", "Wh", "kWh", "MWh"),
        *("Hz", "kHz", "MHz", "GHz", "ns", "µs", "ms", "s", "sec", "min", "h", "d", "km/h", "m/s"),
        *("B", "kB", "KB", "MB", "GB", "TB", "Pa", "kPa", "MPa", "bar", "mbar", "psi", "N", "Nm"),
        *("rpm", "mph", "m²", "m³", "pcs", "pcs.", "Stk", "Stk."),
    }
)


@dataclass(frozen=True)
class NumberWriting:
    """How the numbers of a text column are written.

    Parameters
    ----------
    form : NumberFormat, optional
        The format that reads the column; None where numbers are plain, or there is none.
    is_read : bool
        Whether at least 99 of 100 cells are numbers under it.
    doubt : str
        What the cells leave open, and the options that say it; "" where nothing is.
    """

    form: NumberFormat | None = None
    is_read: bool = False
    doubt: str = ""


def number_writing(name: str, counts: Mapping[str, int]) -> NumberWriting:
    """Decide how the column of a name writes its numbers.

    Parameters
    ----------
    counts : mapping of str to int
        Its distinct texts as they are written, without words for missing, and how often each is
        there.
    """
    some = some_of(counts)
    writing = _writing(name, some)
    is_all = some is counts or writing == NumberWriting()
    return writing if is_all else _writing(name, counts)


def _writing(name: str, counts: Mapping[str, int]) -> NumberWriting:
    n = sum(counts.values())
    plain = sum(count for text, count in counts.items() if is_number_text(text))
    if plain == n:
        return _plain(name, counts)
    numbers = _numbers(counts)
    unit, of_unit = _common_unit(numbers, n)
    if unit is None:
        return NumberWriting(doubt=_several_units(name, numbers))
    tally = _Tally.of(of_unit)
    if tally.n <= plain:  # no format reads more
        is_read = plain > MIN_SHARE_READABLE * n
        return NumberWriting(
            is_read=is_read, doubt="" if is_read else _mixed(name, counts, of_unit)
        )
    decimal = tally.decimal(n)
    if decimal is None:
        return NumberWriting(doubt=tally.doubt(name, unit))
    form = NumberFormat(decimal, unit)
    if tally.readable(decimal) < MIN_SHARE_READABLE * n:
        return NumberWriting(form, doubt=_mixed(name, counts, of_unit))
    return NumberWriting(form, is_read=True)


def _plain(name: str, counts: Mapping[str, int]) -> NumberWriting:
    """Read plain numbers, but for those whose points all may part thousands: 1.234 and 987."""
    points = sum("." in text for text in counts)
    if not points or not all(map(_POINT_IN_THOUSANDS.fullmatch, counts)):
        return NumberWriting(is_read=True)
    tally = _Tally.of(_numbers(counts))
    if points < len(counts):
        few = len(counts) < MIN_NUMBERS_IN_DOUBT
        return NumberWriting(is_read=few, doubt="" if few else tally.doubt(name, ""))
    return NumberWriting(is_read=True, doubt=tally.doubt(name, "", "is read with a decimal point"))


def option(flag: str, name: str, value: str) -> str:
    """Write an option for a column as a shell takes it."""
    return shlex.join([flag, f"{name}={value}"])


@dataclass(frozen=True)
class _Number:
    """A text that is a number: taken apart, and how many cells hold it."""

    text: str
    written: WrittenNumber
    n: int

    def value(self, decimal: Decimal) -> float | None:
        return value_of(self.written, decimal)


def _numbers(counts: Mapping[str, int]) -> list[_Number]:
    """Return the texts that are numbers one way or another; codes such as 007 and R12 are none."""
    apart = [(text, take_apart(text), n) for text, n in counts.items()]
    numbers = [
        _Number(text, written, n)
        for text, written, n in apart
        if written is not None and not _LEADING_ZERO.match(written.digits)
    ]
    return [] if all(_CODE.fullmatch(number.text) for number in numbers) else numbers


def _common_unit(numbers: Sequence[_Number], n: int) -> tuple[str | None, list[_Number]]:
    """Return the unit of nearly all cells and the numbers that have it; None if it is not one.

    Of units that nobody knows, as in house numbers with letters, only bare numbers are left.
    """
    units: Counter[str] = Counter()
    for number in numbers:
        units[canonical_unit(number.written.unit)] += number.n
    named = {unit: count for unit, count in units.items() if unit}
    common = max(named, key=lambda unit: named[unit], default="")
    n_bare, n_numbers = units[""], sum(units.values())
    n_common = named.get(common, 0) + (n_bare if is_currency(common) else 0)
    if named and n_common >= MIN_SHARE_READABLE * n:
        chosen = [m for m in numbers if canonical_unit(m.written.unit) in {common, ""}]
        chosen = chosen if is_currency(common) else [m for m in chosen if m.written.unit]
        return _usual_writing(chosen), chosen
    are_known = all(unit in _UNITS or is_currency(unit) for unit in named)
    if named and are_known and n_bare < MIN_SHARE_READABLE * n <= n_numbers:
        return None, []
    return "", [number for number in numbers if not number.written.unit]


def _usual_writing(numbers: Sequence[_Number]) -> str:
    """Return the unit as most cells write it."""
    writings: Counter[str] = Counter()
    for number in numbers:
        if number.written.unit:
            writings[number.written.unit] += number.n
    return writings.most_common(1)[0][0]


@dataclass(frozen=True)
class _Tally:
    """How many cells can be read with a point only, a comma only, with both alike, and unlike."""

    point: int
    comma: int
    same: int
    unlike: int
    examples: Mapping[str, str]

    @classmethod
    def of(cls, numbers: Sequence[_Number]) -> Self:
        counts: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for number in numbers:
            proof = _proof(number)
            counts[proof] += number.n
            examples.setdefault(proof, number.text)
        return cls(counts["."], counts[","], counts["same"], counts["unlike"], examples)

    @property
    def n(self) -> int:
        """Cells that are numbers."""
        return self.point + self.comma + self.same + self.unlike

    def readable(self, decimal: Decimal) -> int:
        """Count the cells that a format reads."""
        if decimal == ".,":
            return self.point + self.comma + self.same
        return (self.point if decimal == "." else self.comma) + self.same + self.unlike

    def decimal(self, n: int) -> Decimal | None:
        """Return the decimal sign of a column of n cells; None if they do not decide."""
        few, many = sorted((self.point, self.comma))
        if few > STRAY * many:
            return ".," if self.unlike <= (1 - MIN_SHARE_READABLE) * n else None
        if many < MIN_SHARE_OF_PROOFS * self.unlike or (self.unlike and not many):
            return None
        return "," if self.comma > self.point else "."

    def doubt(self, name: str, unit: str, what: str = "is not read as numbers") -> str:
        """Say what is not decided."""
        point, comma = (NumberFormat(sign, unit) for sign in (".", ","))
        text = self.examples["unlike"]
        options = " or ".join(
            f"{option('--number-format', name, str(form))} ({form.read(text):.12g})"
            for form in (point, comma)
        )
        both = ""
        if self.point and self.comma:
            signs = self.examples["."], self.examples[","]
            both = f"{signs[0]!r} has a decimal point, {signs[1]!r} a decimal comma, and "
        return (
            f"column {name!r} {what}: {both}cells such as {text!r} could be either. Say {options}"
        )


def _proof(number: _Number) -> str:
    """Tell which decimal sign a cell proves: ".", ",", or neither: "same" or "unlike"."""
    point, comma = number.value("."), number.value(",")
    if point is None or comma is None:
        return "," if point is None and comma is not None else "." if point is not None else "none"
    return "same" if point == comma else "unlike"


def _several_units(name: str, numbers: Sequence[_Number]) -> str:
    """Ask about numbers with several units, or with one here and none there."""
    examples = {canonical_unit(number.written.unit): number.text for number in numbers}
    shown = ", ".join(repr(text) for text in list(examples.values())[:MAX_UNITS])
    named = [unit for unit in examples if unit]
    advice = "Write all in one unit"
    if len(named) == 1:
        decimal = _Tally.of(numbers).decimal(sum(number.n for number in numbers)) or "."
        form = NumberFormat(decimal, named[0], is_optional=True)
        advice = (
            f"If {named[0]} may be left out, say {option('--number-format', name, str(form))}; "
            "else write it everywhere"
        )
    keep = option("--kind", name, "categorical")
    return (
        f"column {name!r} is not read as numbers: its cells have several units, such as {shown}. "
        f"{advice}, or keep the words with {keep}"
    )


def _mixed(name: str, counts: Mapping[str, int], numbers: Sequence[_Number]) -> str:
    """Ask about a column of many numbers and some words, or of numbers in words; "" of others."""
    read = {number.text for number in numbers}
    words = Counter({text: n for text, n in counts.items() if text not in read})
    share = sum(number.n for number in numbers) / sum(counts.values())
    is_mixed = share > MANY_NUMBERS or (share > SOME_NUMBERS and len(words) <= FEW_WORDS)
    if len(read) <= MIN_NUMBERS_IN_DOUBT or not is_mixed or not words:
        return _surrounded(name, counts)
    word = words.most_common(1)[0][0]
    if _LEADING_ZERO.match(word):
        return ""  # codes, such as postal ones
    return (
        f"column {name!r} is not read as numbers: {share:.1%} of its cells are, others such as "
        f"{word!r} are not. If that means missing, say {option('--missing', name, word)}; to have "
        f"such cells refused, {option('--kind', name, 'numeric')}; to keep all as words, "
        f"{option('--kind', name, 'categorical')}"
    )


def _surrounded(name: str, counts: Mapping[str, int]) -> str:
    """Ask about decimal numbers that all have the same unknown text around them; "" without."""
    around: Counter[str] = Counter()
    for text, n in counts.items():
        around[_DECIMAL.sub("#", text)] += n
    shapes = [shape for shape, _ in around.most_common(FEW_WORDS)]
    alike = sum(around[s] for s in shapes if s.count("#") == 1 and not re.search(r"\d", s))
    is_alike = alike >= MIN_SHARE_READABLE * sum(counts.values())
    if len(counts) <= MIN_NUMBERS_IN_DOUBT or not is_alike:
        return ""
    return (
        f"column {name!r} is not read as numbers: its cells look like {max(counts)!r}. Write plain "
        f"numbers, such as 1234.5, or keep the words with {option('--kind', name, 'categorical')}"
    )
