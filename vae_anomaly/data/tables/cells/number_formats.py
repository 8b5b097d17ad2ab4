"""Numbers as people write them: decimal comma, thousands, currency, percent, minus behind.

How a column writes its numbers is a `NumberFormat`, written as an example:

====================  ====================================================================
``1,234.5``           decimal point; a comma may part thousands
``1.234,5``           decimal comma; a point may part thousands
``1.5 or 1,5``        either; a cell is read where it alone says which, as 12,50 does
``1.234,5 €``         as the second, with that unit behind or, of a currency, before
``1,234.5 [%]``       as the first; the unit may be absent
====================  ====================================================================

Under each of them spaces and apostrophes may part thousands, a minus may be a dash or stand behind
the number, and brackets are a minus: ``1 234,50``, ``1'234.50``, ``12.50-``, ``(12.50)``. A unit is
the same in all cells; a currency may be absent, and be written as sign or as code. The number is
read as it stands: ``12 %`` is 12.

A cell alone often does not say what it means: ``1,234`` is 1234 or 1.234. So a format is one of a
whole column, and a cell that does not have it is bad, even where another format would read it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self

Decimal = Literal[".", ",", ".,"]
_EXAMPLES: Final[dict[Decimal, str]] = {".": "1,234.5", ",": "1.234,5", ".,": "1.5 or 1,5"}
_FORMAT = re.compile(r"(1,234\.5|1\.234,5|1\.5 or 1,5)(?: ?(\[[^\[\]]+\]|[^\[\]]+))?")

_CODES: Final = (
    *("AED", "ARS", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK"),
    *("DKK", "EGP", "EUR", "GBP", "HKD", "HRK", "HUF", "IDR", "ILS", "INR", "ISK", "JPY"),
    *("KES", "KRW", "KWD", "MAD", "MXN", "MYR", "NGN", "NOK", "NZD", "PHP", "PKR", "PLN"),
    *("QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TND", "TRY", "TWD", "UAH"),
    *("USD", "VND", "ZAR"),
)  # fmt: skip
_SIGNS: Final = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "£": "GBP", "$": "USD", "us$": "USD", "usd$": "USD",
    "₹": "INR", "rs": "INR", "rs.": "INR", "₩": "KRW",
    "₽": "RUB", "\u0440\u0443\u0431": "RUB", "\u0440\u0443\u0431.": "RUB",
    "₺": "TRY", "tl": "TRY", "₴": "UAH", "฿": "THB", "₫": "VND", "₪": "ILS", "₦": "NGN",
    "₱": "PHP", "zł": "PLN", "zl": "PLN", "kč": "CZK", "ft": "HUF", "fr": "CHF", "fr.": "CHF",
    "sfr.": "CHF", "r$": "BRL", "a$": "AUD", "c$": "CAD", "hk$": "HKD", "nz$": "NZD", "s$": "SGD",
    "nt$": "TWD", "лв": "BGN", "лв.": "BGN", "rm": "MYR", "rp": "IDR", "lei": "RON",
    "kr": "kr", "kr.": "kr", "¥": "¥", "元": "¥", "円": "¥", "r": "ZAR", "din.": "RSD",
}  # fmt: skip
_CURRENCIES: Final = _SIGNS | {code.casefold(): code for code in _CODES}

_MARKS: Final = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u2019\u2018\u02bc\u00b4\u0060\u2032\uff07", "'")
    | {"\u066b": ".", "\u066c": ",", "\uff0c": ",", "\uff0e": ".", "\uff0b": "+"}
    | {"\uff05": "%", "\u066a": "%", "\uff04": "$", "\uffe5": "¥", "\uffe1": "£"}
    | {"\uff08": "(", "\uff09": ")"}
)
_UNIT_SIGNS: Final = "%‰°µ$€£¥₹₽₩₺₴฿₫₪₦₱"
_UNIT: Final = rf"(?:[^\W\d_]|[{_UNIT_SIGNS}])[^\d\s()+,\-]{{0,11}}"
_LONGEST: Final = 64  # characters of one number with its unit
_WRITTEN = re.compile(
    rf"""
    (?P<open>\()?\s* (?P<sign>[+-])?\s*
    (?:(?P<before>{_UNIT})\s*)?
    (?P<open_>\()?\s* (?P<sign_>[+-])?\s*
    (?P<digits>(?:\d[\d.,'\ ]*|[.,]\d+)(?:[eE][+-]?\d+)?) (?P<dash>--?)?\s* (?P<close>\))?\s*
    (?P<after>{_UNIT})?\s* (?P<dash_>-)?\s* (?P<close_>\))?
    """,
    re.VERBOSE,
)


class WrittenNumber(NamedTuple):
    """One cell, taken apart: its sign, its digits with what parts them, its unit or ""."""

    is_negative: bool
    digits: str
    unit: str


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Parameters
    ----------
    decimal : {".", ",", ".,"}
        The decimal sign; ".," where each cell says which.
    unit : str
        Behind or before each number; "" without.
    is_optional : bool
        Whether the unit may be absent. A currency always may.
    """

    decimal: Decimal
    unit: str = ""
    is_optional: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` writes; ValueError says which formats there are."""
        match = _FORMAT.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"{text!r} is no format of numbers. Write 1,234.5 (decimal point) or 1.234,5 "
                "(decimal comma), with the unit behind if cells have one: '1.234,5 €', "
                "'1,234.5 [%]' where it may be absent"
            )
        decimal = next(sign for sign, example in _EXAMPLES.items() if example == match[1])
        unit = match[2] or ""
        return cls(decimal, unit.strip("[]").strip(), unit.startswith("["))

    def __str__(self) -> str:
        unit = f"[{self.unit}]" if self.is_optional else self.unit
        return f"{_EXAMPLES[self.decimal]} {unit}".strip()

    def read(self, text: str) -> float | None:
        """Read one cell; None if it is not written so."""
        bare = text.removesuffix(self.unit).rstrip()
        if text.endswith(self.unit) and self._is_bare(bare):
            return _float(bare, self.decimal)  # most cells: nothing to take apart
        written = take_apart(text)
        if written is None or not self._has_unit(written.unit):
            return None
        return value_of(written, self.decimal)

    def _is_bare(self, text: str) -> bool:
        """Tell whether text is digits, and what parts them, under one decimal sign."""
        return self.decimal != ".," and _BARE[self.decimal].fullmatch(text) is not None

    def _has_unit(self, unit: str) -> bool:
        if unit:
            return canonical_unit(unit) == canonical_unit(self.unit)
        return not self.unit or self.is_optional or is_currency(self.unit)


def is_currency(unit: str) -> bool:
    """Tell whether a unit is money."""
    return unit.casefold() in _CURRENCIES


def canonical_unit(unit: str) -> str:
    """Return one name for all writings of a currency; other units as they are."""
    return _CURRENCIES.get(unit.casefold(), unit)


def take_apart(text: str) -> WrittenNumber | None:
    """Part sign, digits and unit of a cell; None if it cannot be one number."""
    text = " ".join((text if text.isascii() else _in_ascii(text)).split())
    match = _WRITTEN.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    part = match.groupdict()
    unit = _one_unit(part["before"], part["after"])
    is_negative = _one_sign(part)
    if unit is None or is_negative is None:
        return None
    return WrittenNumber(is_negative, part["digits"].strip(), unit)


def value_of(written: WrittenNumber, decimal: Decimal) -> float | None:
    """Return the number that the digits are under a decimal sign; None if they are none."""
    if decimal == ".,":
        values = {value_of(written, "."), value_of(written, ",")} - {None}
        return values.pop() if len(values) == 1 else None
    if _SHAPES[decimal].fullmatch(written.digits) is None:
        return None
    value = _float(written.digits, decimal)
    return -value if written.is_negative else value


def _float(digits: str, decimal: Decimal) -> float:
    """Convert digits that have the shape of a decimal sign."""
    parts_thousands = "," if decimal == "." else "."
    plain = digits.replace(parts_thousands, "").replace(" ", "").replace("'", "")
    return float(plain.replace(",", "."))


def _shape(decimal: str, thousands: str) -> re.Pattern[str]:
    """Return the pattern of digits under one decimal sign."""
    groups = "|".join(rf"[1-9]\d{{0,2}}(?:{sign}\d{{3}})+" for sign in (thousands, "'", " "))
    lakhs = rf"[1-9]\d?(?:{thousands}\d\d)+{thousands}\d{{3}}"
    fraction = rf"{decimal}\d*"
    power = r"(?:[eE][+-]?\d+)?"
    return re.compile(
        rf"(?:{groups}|{lakhs})(?:{fraction})?|(?:\d+(?:{fraction})?|{decimal}\d+){power}"
    )


_SHAPES: Final = {".": _shape(r"\.", ","), ",": _shape(",", r"\.")}
_BARE: Final = {sign: re.compile(rf"[+-]?(?:{shape.pattern})") for sign, shape in _SHAPES.items()}


def _in_ascii(text: str) -> str:
    """Write digits of all scripts, dashes, spaces and wide signs in one way."""
    marked = text.translate(_MARKS)
    digits = (unicodedata.decimal(char, None) for char in marked)
    return "".join(
        char if digit is None else str(digit) for char, digit in zip(marked, digits, strict=True)
    )


def _one_unit(before: str | None, after: str | None) -> str | None:
    """Return the unit of a number; None if what stands around it is none."""
    if any(unit and not (unit[0].isalpha() or unit[0] in _UNIT_SIGNS) for unit in (before, after)):
        return None  # "½" and "²" belong to the number
    if not before:
        return after or ""
    if not (is_currency(before) or before == "%"):
        return None
    if after and canonical_unit(after) != canonical_unit(before):
        return None
    return after or before


def _one_sign(part: dict[str, str | None]) -> bool | None:
    """Tell whether a number is below zero; None if its signs contradict each other.

    "12.-" and "12,--" are prices without cents.
    """
    digits, dash = part["digits"] or "", part["dash"]
    if dash and digits[-1] in ".,":
        dash = None
    signs = [sign for sign in (part["sign"], part["sign_"], dash, part["dash_"]) if sign]
    opened = [bracket for bracket in (part["open"], part["open_"]) if bracket]
    closed = [bracket for bracket in (part["close"], part["close_"]) if bracket]
    if len(opened) != len(closed) or len(signs) + len(opened) > 1 or dash == "--":
        return None
    return bool(opened) or signs == ["-"]
