"""Notice what tells time but is no date: times of day, durations, quarters and weeks of a year."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from vae_anomaly.data.tables.kinds.writing import option
from vae_anomaly.names import typed

_MIN_SHARE: Final = 0.99
_MIN_DISTINCT: Final = 20  # fewer are groups, such as shifts
_MIN_PERIODS: Final = 3
_OF_DAY: Final = "time_of_day"
_CLOCK = r"\d{1,4}:\d{2}(:\d{2}([.,]\d+)?)?"
_SPAN: Final = re.compile(
    rf"[+-]?({_CLOCK}\s*([ap]\.?m\.?|h|uhr)?|\d+\s*(days?|d|tage?)\s*[,+]?\s*{_CLOCK}"
    r"|p(\d+d)?t?(\d+h)?(\d+m)?(\d+([.,]\d+)?s)?|(\d+\s*(h|hrs?|min|m|sec|s)\b\s*){2,3})",
    re.IGNORECASE,
)


_PERIOD: Final = re.compile(
    r"(19|20)\d\d[-/ ]?(q[1-4]|w\d\d?|kw ?\d\d?)|(q[1-4]|k?w ?\d\d?)[-/ .]{0,2}(19|20)\d\d"
    r"|\d{1,2}/(19|20)\d\d|(jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|o[ck]t|nov|de[cz])"
    r"[^\W\d_]*\.?[-/ ']{1,2}((19|20)\d\d|[0-3]\d)",
    re.IGNORECASE,
)


def period_doubt(name: str, texts: Mapping[str, int]) -> str:
    """Say that a text column names quarters, weeks or months of years; "" of others."""
    if len(texts) < _MIN_PERIODS or not all(map(_PERIOD.fullmatch, texts)):
        return ""
    return (
        f"column {name!r} names periods, such as {max(texts)!r}, and the next one is new to the "
        f"model: leave it out with --ignore {typed(name)}, or write what comes again, as the "
        "quarter alone"
    )


def span_doubt(name: str, texts: Mapping[str, int]) -> str:
    """Say that a text column holds times of day or durations, and what to do; "" of others."""
    spans = sum(n for text, n in texts.items() if _SPAN.fullmatch(text))
    if len(texts) < _MIN_DISTINCT or spans < _MIN_SHARE * sum(texts.values()):
        return ""
    return (
        f"column {name!r} is not read as times: its cells are times of day or durations, "
        f"such as {max(texts)!r}. Of times of day say {option('--time-format', name, _OF_DAY)}; "
        "write durations as a number of hours or seconds, such as 10.5; to keep them as words, "
        f"{option('--kind', name, 'categorical')}"
    )
