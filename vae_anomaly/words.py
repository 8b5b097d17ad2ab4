"""Words that every message needs: counted nouns, lists that are cut, reasons inside a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vae_anomaly.names import printable

MOST_OF_A_TEXT: Final = 4_000  # characters of a message
MOST_OF_A_NAME: Final = 200  # in a list, where a cell may hold megabytes


def number_of(n: float, noun: str, plural: str = "") -> str:
    """Return a counted noun; the plural is the noun with an s, or what is given.

    Examples
    --------
    >>> number_of(1, "file"), number_of(0, "file"), number_of(1200, "normal row")
    ('1 file', '0 files', '1,200 normal rows')
    >>> number_of(2, "entity", "entities")
    '2 entities'
    """
    return f"{n:,.0f} {noun if n == 1 else plural or f'{noun}s'}"


def verb_for(n: float, one: str = "is", many: str = "are") -> str:
    """Return the verb that goes with a count.

    Examples
    --------
    >>> verb_for(1), verb_for(2), verb_for(1, "was", "were")
    ('is', 'are', 'was')
    """
    return one if n == 1 else many


def names_of(names: Iterable[object], most: int = 5) -> str:
    """Return names, each once and in their order, as one list that is cut after ``most``.

    Examples
    --------
    >>> names_of(["b", "a", "b", "c"], most=2)
    'b, a and 1 more'
    >>> names_of(["b"])
    'b'
    """
    once = list(dict.fromkeys(map(str, names)))
    more = len(once) - most
    told = [printable(shortened(name, MOST_OF_A_NAME), lines=False) for name in once[:most]]
    return ", ".join(told) + (f" and {more:,} more" if more > 0 else "")


def shortened(text: str, most: int = MOST_OF_A_TEXT) -> str:
    """Return a text whose middle is left out where it is longer than that.

    Examples
    --------
    >>> shortened("x" * 50 + " is no number. Correct it.", most=40)
    'xxxxxxxxxxxxxxxxxxx… number. Correct it.'
    """
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 1]}…{text[len(text) - most // 2 :]}"


def reason_of(error: object) -> str:
    """Return what an error says as a part of a sentence: in one line, without a stop at its end.

    Examples
    --------
    >>> reason_of(ValueError("Give one of a, b or c."))
    'Give one of a, b or c'
    """
    return printable(" ".join(shortened(str(error)).split()).rstrip(".:; "))
