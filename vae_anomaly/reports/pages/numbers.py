"""Numbers and dates as pages write them: the same in Python as in ``scripts/format.js``.

Halves are rounded away from zero on the exact value, as JavaScript's ``toFixed`` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from vae_anomaly.metrics import Interval

NOT_KNOWN: Final = "not known"
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_LEAST_PERCENT: Final = 0.001
_BEYOND: Final = 1e15  # no figure of ours
_WHOLE: Final = 9.95  # from here on an amount has two digits before its point


def fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals and a comma between thousands.

    Examples
    --------
    >>> fixed(1234.5, 0), fixed(-0.04, 1), fixed(2.0, 3)
    ('1,235', '0.0', '2.000')
    """
    if not abs(value) < _BEYOND:
        return f"{value:g}"
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{abs(rounded) if rounded.is_zero() else rounded:,}"


def thousands(n: float) -> str:
    """Return a count.

    Examples
    --------
    >>> thousands(4120), thousands(float("nan"))
    ('4,120', 'not known')
    """
    return fixed(n, 0) if math.isfinite(n) else NOT_KNOWN


def amount(value: float) -> str:
    """Return an amount that was estimated: whole from 10 on, else with two digits that count.

    Examples
    --------
    >>> amount(1234.4), amount(41.3), amount(3.21), amount(0.414), amount(0.0)
    ('1,234', '41', '3.2', '0.41', '0')
    >>> amount(0.0004), amount(9.97)
    ('<0.01', '10')
    """
    if not math.isfinite(value):
        return NOT_KNOWN
    if value < 0:
        return f"-{amount(-value)}"
    if value == 0 or value >= _WHOLE:
        return fixed(value, 0)
    if value < 0.005:
        return "<0.01"
    return fixed(value, 1 if value >= _WHOLE / 10 else 2)


def nats(value: float) -> str:
    """Return evidence in nats: with decimals while they tell something, never as a power of ten.

    Examples
    --------
    >>> nats(875_123.4), nats(-1234.5), nats(12.54), nats(0.314), nats(float("nan"))
    ('875,123', '-1,235', '12.5', '0.31', 'not known')
    """
    if not math.isfinite(value):
        return NOT_KNOWN
    return fixed(value, 0 if abs(value) >= 1000 else 1 if abs(value) >= _WHOLE else 2)


def percent(share: float) -> str:
    """Return a share in percent with two digits that count, never rounded to all or nothing.

    Examples
    --------
    >>> percent(0.5), percent(0.123), percent(0.0123), percent(0.0089)
    ('50%', '12%', '1.2%', '0.89%')
    >>> percent(0.9996), percent(1.0), percent(0.0), percent(1e-9)
    ('99.96%', '100%', '0%', '<0.001%')
    """
    if not math.isfinite(share):
        return NOT_KNOWN
    value = share * 100
    if 0 < value < _LEAST_PERCENT:
        return "<0.001%"
    if 100 - _LEAST_PERCENT < value < 100:
        return ">99.999%"
    return f"{fixed(value, _percent_digits(value))}%"


def _percent_digits(value: float) -> int:
    """Return the decimals that leave two digits of what is near 0, one of what 100 % lacks."""
    if value <= 0 or value >= 100:
        return 0
    near = min(value, (100 - value) * 10)
    if near >= _WHOLE:
        return 0
    if near >= _WHOLE / 10:
        return 1
    return 2 if near >= _WHOLE / 100 else 3


def interval(figure: Interval | None) -> str:
    """Return an estimated amount with its interval; whole at both ends where it is whole itself.

    Examples
    --------
    >>> interval(Interval(12, 9, 15)), interval(Interval(3.21, 0.9, 12))
    ('12 (9 to 15)', '3.2 (0.90 to 12)')
    >>> interval(None)
    'not known'
    """
    return _between(figure, thousands if figure and figure.estimate >= _WHOLE else amount)


def share_interval(figure: Interval | None) -> str:
    """Return a share with its interval, in percent.

    Examples
    --------
    >>> share_interval(Interval(0.95, 0.91, 0.98))
    '95% (91% to 98%)'
    """
    return _between(figure, percent)


def ends(figure: Interval) -> str:
    """Return the ends of the interval of an amount, to stand beside its estimate.

    Examples
    --------
    >>> ends(Interval(12, 9, 15)), ends(Interval(float("nan"), 0, 1))
    ('9 to 15', '')
    """
    return interval(figure).partition("(")[2].rstrip(")")


def share_ends(figure: Interval) -> str:
    """Return the ends of the interval of a share, to stand beside its estimate."""
    return share_interval(figure).partition("(")[2].rstrip(")")


def _between(figure: Interval | None, shown: Callable[[float], str]) -> str:
    if figure is None or not math.isfinite(figure.estimate):
        return NOT_KNOWN
    return f"{shown(figure.estimate)} ({shown(figure.low)} to {shown(figure.high)})"


def score(value: float) -> str:
    """Return an anomaly score, -log10 p.

    Examples
    --------
    >>> score(2.30103)
    '2.301'
    """
    return fixed(value, 3) if math.isfinite(value) else NOT_KNOWN


def day(iso: str) -> str:
    """Return the date of an ISO time, as text that is read alike everywhere.

    Examples
    --------
    >>> day("2026-11-29T05:12:44Z"), day("")
    ('29 Nov 2026', '')
    """
    when = _read(iso)
    return f"{when.day} {_MONTHS[3 * when.month - 3 : 3 * when.month]} {when.year}" if when else iso


def minute(iso: str) -> str:
    """Return an ISO time to the minute, in UTC.

    Examples
    --------
    >>> minute("2026-11-29T06:12:44+01:00"), minute("unknown")
    ('29 Nov 2026, 05:12 UTC', 'unknown')
    """
    when = _read(iso)
    return f"{day(when.isoformat())}, {when:%H:%M} UTC" if when else iso


def _read(iso: str) -> datetime | None:
    """Return an ISO time in UTC; none where the text is no such time."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return when.astimezone(UTC) if when.tzinfo else when
