"""What a column's name says by its words."""

from __future__ import annotations

import re
from typing import Final

_WORD = re.compile(r"[A-Z]?[a-zäöü]+|[A-Z]+(?![a-z])")
_CLOCK_WORDS: Final = frozenset({
    "ts", "date", "day", "days", "tag", "tage", "week", "weeks", "woche", "wochen", "month",
    "months", "monat", "monate", "year", "years", "jahr", "jahre", "hour", "hours", "stunde",
    "stunden", "minute", "minutes", "minuten", "seconds", "sekunden", "sec", "secs", "step",
    "steps", "tick", "ticks", "epoch", "unix", "period", "clock", "elapsed", "dt", "cycle",
    "cycles", "seq", "sequence",
})  # fmt: skip
_CODE_WORDS: Final = frozenset({
    "zip", "zipcode", "plz", "postal", "postcode", "postleitzahl", "pin", "code", "id", "nr", "no",
    "port", "ports", "sport", "dport", "dsport", "sic", "mcc", "bin",
})  # fmt: skip
_CLOCK_ENDS: Final = ("time", "timestamp", "datetime", "datum", "zeit", "stempel")
_SPAN_WORDS: Final = frozenset({
    "age", "alter", "duration", "dauer", "latency", "since", "until", "seit", "bis",
    "response", "reaction", "wait", "waiting", "spent", "tenure", "delay", "lead",
    "processing", "idle", "per", "remaining", "mean", "avg", "median", "max", "std", "diff",
    "delta",
})  # fmt: skip


def says_time(name: str) -> bool:
    """Tell whether a column's name says when, ``TX_TIME_DAYS``, and not how long, ``wait_sec``."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not _SPAN_WORDS.isdisjoint(words):
        return False
    return any(word in _CLOCK_WORDS or word.endswith(_CLOCK_ENDS) for word in words)


def says_code(name: str) -> bool:
    """Tell whether the numbers of a column are codes by its name: places, ports, keys."""
    words = {word.lower() for word in _WORD.findall(name)}
    return not _CODE_WORDS.isdisjoint(words)
