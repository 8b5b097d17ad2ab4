"""Dates in paths: ``days/{date}.csv``, ``archive/{date:%Y/%m/%d}/``."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final

from vae_anomaly.errors import ConfigError

_DATE: Final = re.compile(r"\{date(?::([^{}]+))?\}")
MOST_DAYS: Final = 3660
"""Days of a range, ten years: a longer one is a slip of the pen."""


def has_date(text: str) -> bool:
    """Tell whether a path is another for every day."""
    return _DATE.search(text) is not None


def dated(text: str, day: date) -> str:
    """Put a day in where a path asks for it.

    Examples
    --------
    >>> dated("days/{date}.csv", date(2026, 3, 1))
    'days/2026-03-01.csv'
    >>> dated("s3://lake/{date:%Y/%m/%d}/*.parquet", date(2026, 3, 1))
    's3://lake/2026/03/01/*.parquet'
    """
    return _DATE.sub(lambda found: day.strftime(found[1] or "%Y-%m-%d"), text)


def days_from_to(first: date, last: date) -> list[date]:
    """Return the days from the first to the last, both included.

    Raises
    ------
    ConfigError
        If the last lies before the first, or ten years after it.
    """
    n_days = (last - first).days + 1
    if not 1 <= n_days <= MOST_DAYS:
        raise ConfigError(
            f"From {first} to {last} are {max(n_days, 0):,} days. Give a range of 1 to "
            f"{MOST_DAYS:,} days, the earlier first."
        )
    return [first + timedelta(days=n) for n in range(n_days)]
