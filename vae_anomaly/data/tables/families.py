"""Columns that are numbered, such as V1 to V28, told together where the same is said of them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

_Said = TypeVar("_Said", bound=Hashable)

_NUMBERED: Final = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)", re.DOTALL)
_LEAST: Final = 3  # names that are worth telling together
_MOST: Final = 3  # runs and single names that are told of a family


def told_together(told: Iterable[tuple[str, _Said]]) -> list[tuple[str, _Said]]:
    """Return what is said of columns, once for numbered ones of which the same is said in words.

    A family stands where its first column stood. Numbers are of each column alone.

    Examples
    --------
    >>> told_together([("at", "time"), ("V1", "numbers"), ("V2", "numbers"), ("V3", "numbers")])
    [('at', 'time'), ('V1 to V3', 'numbers')]
    """
    families: dict[tuple[str, _Said], list[str]] = {}
    for name, said in told:
        families.setdefault((_stem(name), said), []).append(name)
    return [
        (shown, said)
        for (_, said), names in families.items()
        for shown in ([_shown(names)] if len(names) >= _LEAST else names)
    ]


def listed_columns(names: Iterable[str]) -> str:
    """List names of columns, numbered ones together.

    Examples
    --------
    >>> listed_columns(["id", "V1", "V2", "V3", "V5", "V7", "V9"])
    'id, V1 to V3, V5, V7 and 1 more'
    """
    return ", ".join(shown for shown, _ in told_together((name, None) for name in names))


def _stem(name: str) -> str:
    """Return a name with a gap for its last number; a name without one is a stem by itself."""
    numbered = _NUMBERED.fullmatch(name)
    return name if numbered is None else f"{numbered['before']}\0{numbered['after']}"


def _number(name: str) -> int:
    numbered = _NUMBERED.fullmatch(name)
    return 0 if numbered is None else int(numbered["number"])


def _shown(names: Sequence[str]) -> str:
    runs = _runs(names)
    more = sum(map(len, runs[_MOST:]))
    words = ", ".join(_run(run) for run in runs[:_MOST])
    return f"{words} and {more:,} more" if more else words


def _runs(names: Sequence[str]) -> list[list[str]]:
    """Split names where a number does not follow the one before."""
    runs = [[names[0]]]
    for before, name in pairwise(names):
        if _number(name) == _number(before) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return runs


def _run(names: Sequence[str]) -> str:
    return f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
