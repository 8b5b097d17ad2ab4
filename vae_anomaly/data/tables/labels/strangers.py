"""Names that should be found among items and are not, with the nearest that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MAX_NAMED = 3
MAX_COMPARED = 20_000  # items that a name is compared with letter by letter


def listed_strangers(strangers: Sequence[object], known: Iterable[object]) -> str:
    """List the first names that are not known, each with the nearest one that is.

    Examples
    --------
    >>> listed_strangers(["T7", "x"], ["t-7", "t-8"])
    "'T7' (did you mean 't-7'?), 'x'"
    """
    candidates = [str(name) for name in known]
    alike = {_plain(name): name for name in reversed(candidates)}
    shown = [
        f"{str(name)!r}{_nearest(str(name), candidates, alike)}" for name in strangers[:MAX_NAMED]
    ]
    more = len(strangers) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _nearest(name: str, candidates: list[str], alike: dict[str, str]) -> str:
    near = alike.get(_plain(name))
    if near is None and len(candidates) <= MAX_COMPARED:
        near = next(iter(get_close_matches(name, candidates, n=1, cutoff=0.8)), None)
    return "" if near is None else f" (did you mean {near!r}?)"


def _plain(name: str) -> str:
    """Return a name without what people write in several ways: case, spaces, zeros, an ending."""
    stem = re.sub(r"\.[a-z]{3,4}$", "", name.strip().casefold().rpartition("/")[2])
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_-]+", "", stem))
