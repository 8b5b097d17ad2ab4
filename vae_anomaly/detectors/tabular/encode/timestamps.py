"""Timestamps as numbers: where in the day, where in the week, and the days between two of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Floats, Ints, Times
from vae_anomaly.detectors.tabular.encode.columns import (
    GAP_SHARE,
    MATCH,
    ColumnEncoder,
    Encoded,
    Feature,
    Series,
)

DAY_S = 86_400.0


@dataclass(frozen=True)
class TimestampColumn(ColumnEncoder):
    """Points in time: where in the day, where in the week.

    The date itself is no feature: tomorrow is always later than every training row.
    """

    name: str
    clock: bool  # whether training had times of day
    indicator: bool  # whether gaps have a feature of their own
    fill_s: float  # median of the training cells, seconds since 1970
    first_s: float  # their range, seconds since 1970
    last_s: float
    gap_share: float  # of the training cells
    hours: tuple[float, ...]  # share of the training cells in each of 24 hours
    weekdays: tuple[float, ...]  # and on each of 7 days from Monday

    kind: ClassVar[str] = "timestamp"

    @classmethod
    def fit(cls, name: str, cells: Series) -> Self:
        """Take the range of cells that are not all empty."""
        seconds = _seconds(cells)
        known = seconds[~np.isnan(seconds)]
        gap_share = 1.0 - len(known) / len(seconds)
        return cls(
            name=name,
            clock=bool((known % DAY_S != 0).any()),
            indicator=gap_share >= GAP_SHARE,
            fill_s=float(np.quantile(known, 0.5, method="lower")),
            first_s=float(known.min()),
            last_s=float(known.max()),
            gap_share=gap_share,
            hours=_shares(known % DAY_S // 3600.0, 24),
            weekdays=_shares(_weekday(known), 7),
        )

    @property
    def features(self) -> tuple[Feature, ...]:
        """Sine and cosine of hour and weekday, and the gap where it is told."""
        parts = ("hour", "weekday") if self.clock else ("weekday",)
        waves = [Feature(f"{self.name} ({f} of {p})") for p in parts for f in ("sine", "cosine")]
        gap = Feature(f"{self.name} (missing)", fixed=True, role="gap")
        return (*waves, gap) if self.indicator else tuple(waves)

    def encode(self, cells: Series, *, training: bool = False) -> Encoded:
        """Turn times into angles; an empty cell is at the centre of the circle."""
        seconds = _seconds(cells)
        missing = np.isnan(seconds)
        known = np.where(missing, 0.0, seconds)
        weekday = _weekday(known) / 7.0
        turns = [known % DAY_S / DAY_S, weekday] if self.clock else [weekday]
        waves = [f(2.0 * np.pi * turn) for turn in turns for f in (np.sin, np.cos)]
        parts = [np.where(missing, 0.0, wave) for wave in waves]
        values = np.stack([*parts, missing * MATCH] if self.indicator else parts, axis=1)
        nothing = np.zeros(len(seconds), dtype=np.bool_)
        return Encoded(values, np.zeros(len(seconds), dtype=np.int64), missing, nothing)

    def decode(self, values: Floats, codes: Ints) -> AnyArray:
        """Return times of the decoded weekday and hour in the week of the training median."""
        turns = [
            np.arctan2(*values[:, i : i + 2].T) / (2.0 * np.pi) for i in range(0, self._waves, 2)
        ]
        weekday = np.round(turns[-1] % 1.0 * 7.0) % 7.0
        clock = turns[0] % 1.0 * DAY_S if self.clock else np.zeros(len(values))
        day = np.floor(self.fill_s / DAY_S)
        monday = day - (day + 3.0) % 7.0
        seconds = np.round((monday + weekday) * DAY_S + clock)
        times: Times = seconds.astype(np.int64).astype("datetime64[s]")
        return times.astype("datetime64[ns]")

    @property
    def _waves(self) -> int:
        return 4 if self.clock else 2

    def refit(self, cells: Series) -> TimestampColumn:
        """Take the range from other cells; keep it where all are empty."""
        if cells.isna().all():
            return self
        other = TimestampColumn.fit(self.name, cells)
        return replace(other, clock=self.clock, indicator=self.indicator, gap_share=self.gap_share)


def days_between(frame: pd.DataFrame, first: TimestampColumn, second: TimestampColumn) -> Floats:
    """Return second - first in days, shape (N,); that of the medians where one is empty."""
    difference = _seconds(frame[second.name]) - _seconds(frame[first.name])
    usual = second.fill_s - first.fill_s
    return np.asarray(np.where(np.isnan(difference), usual, difference) / DAY_S)


def _weekday(seconds: Floats) -> Floats:
    """Return 0 for Monday to 6 for Sunday."""
    return np.asarray((np.floor(seconds / DAY_S) + 3.0) % 7.0)  # 1 January 1970 was a Thursday


def _shares(places: Floats, n: int) -> tuple[float, ...]:
    return tuple((np.bincount(places.astype(np.int64), minlength=n) / len(places)).tolist())


def _seconds(cells: Series) -> Floats:
    """Return seconds since 1970, NaN where empty."""
    times = np.asarray(cells, dtype="datetime64[ns]")
    seconds = times.astype(np.int64) / 1e9
    return np.asarray(np.where(np.isnat(times), np.nan, seconds))
