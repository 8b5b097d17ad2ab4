"""The words of a column's name, whatever joins them: snake_case, camelCase, spaces, nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_SHORTEST_OF_GLUED = 2  # letters; single ones would take every name apart


def words(text: str) -> frozenset[str]:
    """Return the words of a text: a way to write lists of words down."""
    return frozenset(text.split())


def words_of(name: str, vocabulary: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Take a name apart into its words, in small letters and without accents.

    A word that is not in the vocabulary, but is made of words that are, is taken apart too.

    Examples
    --------
    >>> words_of("isFlaggedFraud"), words_of("FraudFound_P"), words_of("IPAddress")
    (('is', 'flagged', 'fraud'), ('fraud', 'found', 'p'), ('ip', 'address'))
    >>> words_of("zipcode"), words_of("zipcode", words("zip code"))
    (('zipcode',), ('zip', 'code'))
    """
    found = (word.lower() for word in _WORD.findall(plain(name)))
    return tuple(part for word in found for part in _parts(word, vocabulary))


@cache
def _parts(word: str, vocabulary: frozenset[str]) -> tuple[str, ...]:
    """Return the fewest words of the vocabulary that make up a word; else the word itself."""
    best: list[tuple[str, ...] | None] = [(), *[None] * len(word)]
    for end in range(1, len(word) + 1):
        ways = (
            (*before, word[start:end])
            for start in range(end - _SHORTEST_OF_GLUED + 1)
            if word[start:end] in vocabulary and (before := best[start]) is not None
        )
        best[end] = _fewest(ways)
    return best[-1] or (word,)


def _fewest(ways: Iterable[tuple[str, ...]]) -> tuple[str, ...] | None:
    return min(ways, key=len, default=None)


def plain(text: str) -> str:
    """Write letters without their accents, and full-width letters as usual ones."""
    taken_apart = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(sign for sign in taken_apart if not unicodedata.combining(sign))
