"""What no reason may be: something that nobody would read aloud."""

from __future__ import annotations

import re

UNREADABLE = re.compile(
    r"\d[eE][+-]?\d|\bnan\b|\bNaT\b|\binf\b|\bNone\b|(?<![\d.,])1 times|-0\b(?![.\d])|\s\s"
    r"|\.\.|\.$|,,|\b1 \w+s (after|before)\b"
)


def assert_readable(text: str) -> None:
    """Fail where a reason has an exponent, "nan", "1 times", two spaces, or is too long."""
    assert not UNREADABLE.search(text), text
    assert 0 < len(text) <= 140, text
    assert text == text.strip()
    assert "\n" not in text
