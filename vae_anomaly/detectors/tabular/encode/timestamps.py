"""Timestamps as numbers: where in the day, where in the week, and the days between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Self

import numpy as np
import pandas as pd
from pydantic import Field

from vae_anomaly.arrays import AnyArray, Floats, Ints, Times
from vae_anomaly.data.tables.cells import closed, is_open
from vae_anomaly.data.tables.kinds.order import follows
from vae_anomaly.detectors.tabular.encode.columns import (
    GAP_SHARE,
    MATCH,
    ColumnEncoder,
    Encoded,
    Feature,
    Series,
)

DAY_S = 86_400.0
_WAVES = ("sine", "cosine")
_FEW_DATES = 8


@dataclass(frozen=True)
class TimestampColumn(ColumnEncoder):
    """Points in time: where in the day, where in the week.

    Of the training cells ``hours`` is the share in each hour, ``weekdays`` on each day from Monday.

    The date itself is no feature: tomorrow is always later than every training row. A date that is
    open-ended, 9999-12-31, has no place in day and week; that it is open is a feature of its own
    where training had such dates.
    """

    name: str
    clock: bool  # whether the hour is read
    indicator: bool  # whether gaps have a feature of their own
    fill_s: float  # median of the training cells, seconds since 1970
    first_s: float  # their range, seconds since 1970
    last_s: float
    gap_share: float  # of the training cells
    hours: Annotated[tuple[float, ...], Field(min_length=24, max_length=24)]
    weekdays: Annotated[tuple[float, ...], Field(min_length=7, max_length=7)]
    week: bool = True  # whether the weekday is read
    open_indicator: bool = False  # whether open-ended dates have a feature of their own
    open_share: float = 0.0  # of the training cells

    kind: ClassVar[str] = "timestamp"

    @classmethod
    def fit(cls, name: str, cells: Series, parts: Sequence[str] | None = None) -> Self:
        """Take the range of cells that are not all empty; ``parts`` are read, None: all."""
        seconds, n = _seconds(cells), len(cells)
        known = seconds[~np.isnan(seconds)]
        gap_share, open_share = float(cells.isna().mean()), float(is_open(cells).mean())
        has_hours = bool((known % DAY_S != 0).any())
        known = known if len(known) else np.zeros(1)
        return cls(
            name=name,
            clock=has_hours and (parts is None or "hour" in parts),
            indicator=gap_share >= GAP_SHARE,
            fill_s=float(np.quantile(known, 0.5, method="lower")),
            first_s=float(known.min()),
            last_s=float(known.max()),
            gap_share=gap_share,
            hours=_shares(known % DAY_S // 3600.0, 24),
            weekdays=_shares(_weekday(known), 7),
            week=n * (1.0 - gap_share - open_share) > 0 and (parts is None or "weekday" in parts),
            open_indicator=open_share >= GAP_SHARE,
            open_share=open_share,
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """What is read of a time by itself."""
        return ("hour",) * self.clock + ("weekday",) * self.week

    @property
    def features(self) -> tuple[Feature, ...]:
        """Sine and cosine of hour and weekday, the gap and the open end where they are told."""
        waves = [Feature(f"{self.name} ({f} of {p})") for p in self.parts for f in _WAVES]
        flags = ("missing",) * self.indicator + ("open-ended",) * self.open_indicator
        return (*waves, *(Feature(f"{self.name} ({f})", fixed=True, role="gap") for f in flags))

    def encode(self, cells: Series, *, training: bool = False) -> Encoded:
        """Turn times into angles; an empty or open-ended cell is at the centre of the circle."""
        seconds, missing = _seconds(cells), np.asarray(cells.isna(), dtype=np.bool_)
        nowhere = np.isnan(seconds)
        known = np.where(nowhere, 0.0, seconds)
        turn = {"hour": known % DAY_S / DAY_S, "weekday": _weekday(known) / 7.0}
        waves = [f(2.0 * np.pi * turn[part]) for part in self.parts for f in (np.sin, np.cos)]
        values = [np.where(nowhere, 0.0, wave) for wave in waves]
        values += [missing * MATCH] if self.indicator else []
        values += [is_open(cells) * MATCH] if self.open_indicator else []
        return Encoded(
            np.stack(values, axis=1) if values else np.empty((len(cells), 0)),
            np.zeros(len(cells), dtype=np.int64),
            missing,
            np.zeros(len(cells), dtype=np.bool_),
        )

    def decode(self, values: Floats, codes: Ints) -> AnyArray:
        """Return times of the decoded weekday and hour in the week of the training median."""
        turn = {
            part: np.arctan2(*values[:, 2 * i : 2 * i + 2].T) / (2.0 * np.pi) % 1.0
            for i, part in enumerate(self.parts)
        }
        day = np.floor(self.fill_s / DAY_S)
        usual = np.full(len(values), (day + 3.0) % 7.0)
        weekday = np.round(turn["weekday"] * 7.0) % 7.0 if self.week else usual
        clock = turn["hour"] * DAY_S if self.clock else np.zeros(len(values))
        seconds = np.round((day - usual + weekday) * DAY_S + clock)
        times: Times = seconds.astype(np.int64).astype("datetime64[s]")
        return times.astype("datetime64[ns]")

    def refit(self, cells: Series) -> TimestampColumn:
        """Take the range from other cells; keep it where none of them is a point in time."""
        if np.isnan(_seconds(cells)).all():
            return self
        other = TimestampColumn.fit(self.name, cells)
        kept = ("clock", "week", "indicator", "gap_share", "open_indicator", "open_share")
        return replace(other, **{name: getattr(self, name) for name in kept})


def days_between(frame: pd.DataFrame, first: TimestampColumn, second: TimestampColumn) -> Floats:
    """Return second - first in days, shape (N,); that of the medians where one is empty."""
    difference = _seconds(frame[second.name]) - _seconds(frame[first.name])
    usual = second.fill_s - first.fill_s
    return np.asarray(np.where(np.isnan(difference), usual, difference) / DAY_S)


def is_telling(frame: pd.DataFrame, first: str, second: str) -> bool:
    """Tell whether the days between two columns say more than what time it is.

    From one date that all rows share to the time of an event they only count on.
    """
    times = {name: _seconds(frame[name]) for name in (first, second)}
    difference = times[second] - times[first]
    return not any(
        len(np.unique(times[other][~np.isnan(times[other])])) < _FEW_DATES
        and follows(difference, times[one])
        for one, other in ((first, second), (second, first))
    )


def _weekday(seconds: Floats) -> Floats:
    """Return 0 for Monday to 6 for Sunday."""
    return np.asarray((np.floor(seconds / DAY_S) + 3.0) % 7.0)  # 1 January 1970 was a Thursday


def _shares(places: Floats, n: int) -> tuple[float, ...]:
    return tuple((np.bincount(places.astype(np.int64), minlength=n) / len(places)).tolist())


def _seconds(cells: Series) -> Floats:
    """Return seconds since 1970, NaN where empty or open-ended."""
    times = closed(cells)
    seconds = times.astype(np.int64) / 1e9
    return np.asarray(np.where(np.isnat(times), np.nan, seconds))
