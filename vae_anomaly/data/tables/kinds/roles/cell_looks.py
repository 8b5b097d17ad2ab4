"""What the cells of a column look like: e-mail addresses, card numbers, names, sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import pandas as pd

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.cells.storage import dense, distinct_cells

_SHOWN: Final = 500  # distinct cells that are looked at
_ALMOST_ALL: Final = 0.95
_STREETS: Final = 1 / 3  # of addresses that have a word such as road
_PASS_BY_CHANCE: Final = 0.5  # 1 of 10 numbers has a right check digit, 1 of 97 accounts
_STREET_WORDS: Final = (
    r"st|street|ave|avenue|dr|drive|rd|road|ln|lane|blvd|hwy|way|ct|court|square|station|"
    r"row|park|parkway|terrace|strasse|straße|str|weg|platz|allee|gasse|rue|calle|via|laan|straat"
)


@dataclass(frozen=True)
class CellsLook:
    """A column as a person would skim it.

    Parameters
    ----------
    n, n_distinct : int
        Cells that are not empty, and how many different ones.
    texts : tuple of str
        Different cells as text, at most 500, spread over all.
    counts_on : bool
        Whether almost every cell is the one before plus 1.
    """

    n: int
    n_distinct: int
    texts: tuple[str, ...]
    counts_on: bool = False

    @classmethod
    def at(cls, series: pd.Series) -> Self:
        """Skim a column."""
        codes, distinct = distinct_cells(dense(series))
        every = -(-len(distinct) // _SHOWN) or 1
        texts = (str(t) for t in cells.read_text(pd.Series(distinct[::every])) if t is not None)
        return cls(int(np.sum(codes >= 0)), len(distinct), tuple(texts), _counts_on(series))

    def share(self, test: Callable[[str], object]) -> float:
        """Return the share of the different cells that pass a test."""
        return sum(bool(test(text)) for text in self.texts) / max(1, len(self.texts))

    def is_like(self, form: re.Pattern[str]) -> bool:
        """Tell whether almost all cells have a form."""
        return self.share(form.fullmatch) >= _ALMOST_ALL

    @property
    def words_a_cell(self) -> float:
        """How many words a cell has on average."""
        return sum(len(text.split()) for text in self.texts) / max(1, len(self.texts))


def _counts_on(series: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(series.dtype)
    steps = np.diff(cells.read_numbers(series)[0]) if numeric else np.zeros(0)
    return bool(len(steps) and np.mean(steps == 1) >= _ALMOST_ALL)


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


EMAIL: Final = _form(r"[^@\s]+@[^@\s]+\.[a-z]{2,}")
URL: Final = _form(r"(https?|s?ftp)://\S+|www\.\S+")
UUID: Final = _form(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?")
HASH: Final = _form(r"(0x)?(?=\d*[a-f])[0-9a-f]{16,}")
IP_ADDRESS: Final = _form(
    r"(\d{1,3}\.){3}\d{1,3}(:\d+)?|(?=.*[a-f:]{2})[0-9a-f]{0,4}(:[0-9a-f]{0,4}){3,7}"
)
MAC_ADDRESS: Final = _form(r"([0-9a-f]{2}[:-]){5}[0-9a-f]{2}")
SOCIAL_SECURITY: Final = _form(r"\d{3}-\d{2}-\d{4}")
FOREIGN_PHONE: Final = _form(
    r"(\+|00)[1-9][\d\s()./-]{7,18}|\(\d{2,5}\)[\d\s./-]{5,14}|\d{3}-\d{3}-\d{4}(x\d+)?"
)
CARD: Final = _form(r"[\dx*•#]{4}(?:[ -]?[\dx*•#]{1,6}){2,4}")
CODE: Final = _form(r"[a-z]{0,4}[ -]?\d{5,}|[a-z]{2}\d{2}( ?[\da-z]{4}){2,7}( ?[\da-z]{1,3})?")
PHONE: Final = _form(r"(?!\d+[.]\d+$)\+?[\d\s()./x-]{6,20}")
POSTAL_CODE: Final = _form(
    r"([a-z]{1,2}-)?\d{3,6}([ -]?\d{1,4})?|"
    r"[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}|[a-z]\d[a-z] ?\d[a-z]\d|\d{4} ?[a-z]{2}"
)
PLATE: Final = _form(
    r"(?=.*\d)(?=.*[a-zäöü])([a-z\däöü]{1,4}([ -][a-z\däöü]{1,4}){0,3}|[a-z\d]{4,9})"
)
PERSONAL_NAME: Final = _form(r"[^\W\d_]+[.,]?([ '.,-]+[^\W\d_]+\.?){0,4}")
HOUSE: Final = _form(r"\d+ ?[a-z]?,? [^\d\s].*|.*[^\W\d].*,? \d+ ?[a-z]?")
_STREET: Final = re.compile(
    rf"\b({_STREET_WORDS})\b|(strasse|straße|str\.|weg|platz|straat)\b", re.IGNORECASE
)


DATE: Final = _form(
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}.*|(18|19|20)\d{6}|\d{1,2}[ .-]+[a-z]{3,9}[ .,-]+\d{2,4}"
)
OFFICIAL_NUMBER: Final = _form(r"(?!\d+[.]\d+$)(?=(.*\d){5})[a-z\d][a-z\d ./-]{4,19}")
VEHICLE: Final = _form(r"(?=.*[a-z])(?=.*\d)[a-hj-npr-z\d]{17}")
STREET_NAME: Final = _form(r".*[^\W\d_]{2}.*")


def is_address(look: CellsLook) -> bool:
    """Tell whether cells are houses in streets."""
    return look.share(HOUSE.fullmatch) > 0.8 and look.share(_STREET.search) > _STREETS


def is_card(look: CellsLook) -> bool:
    """Tell whether cells are numbers of payment cards, by the check digit or by what is masked."""
    return has_card_digits(look) and look.share(_passes_luhn) > _PASS_BY_CHANCE


def has_card_digits(look: CellsLook) -> bool:
    """Tell whether cells have the 12 to 19 digits of a payment card."""
    return look.share(_has_card_digits) >= _ALMOST_ALL


def is_iban(look: CellsLook) -> bool:
    """Tell whether cells are international account numbers, by their check digits."""
    return look.share(_passes_iban) > _PASS_BY_CHANCE


def is_prose(look: CellsLook) -> bool:
    """Tell whether cells are written by people, in sentences that hardly repeat."""
    return (
        look.words_a_cell >= 5 and look.n_distinct > look.n / 3 and look.share(_has_letters) > 0.9
    )


def _has_letters(text: str) -> bool:
    return sum(sign.isalpha() or sign.isspace() for sign in text) > 0.7 * len(text)


def _has_card_digits(text: str) -> bool:
    return bool(CARD.fullmatch(text)) and 12 <= len(re.sub(r"[ -]", "", text)) <= 19


def _passes_luhn(text: str) -> bool:
    """Check the last digit of a card number (ISO/IEC 7812); a masked number passes."""
    signs = re.sub(r"[ -]", "", text)
    if not signs.isdecimal():
        return True
    doubled = "".join(str(int(digit) * (1 + place % 2)) for place, digit in enumerate(signs[::-1]))
    return sum(map(int, doubled)) % 10 == 0


def _passes_iban(text: str) -> bool:
    """Check an account number (ISO 13616): letters as numbers, country last, modulo 97."""
    signs = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z\d]{11,30}", signs):
        return False
    return int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1
