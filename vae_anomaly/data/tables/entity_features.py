"""What a row is to its entity's own past: causal features with a state that is kept between nights.

An entity is whatever the user names: a customer, a card, a machine. A level, such as the mean
amount of the last week, mostly tells entities apart; the *ratio* to the entity's own history tells
what is unusual for it. So all features here are relative:

====================  ==============================================================================
feature               meaning
====================  ==============================================================================
``amount / usual``    log((amount + 1) / (median of the last 30 days + 1))
``amount z``          (amount - median) / spread of the last 30 days; the spread is the
                      interquartile range, scaled to a standard deviation, at least 1
``day / usual``       log ratio of the mean amount of the last day to the median of the last 30
``week / usual``      the same for the mean of the last 7 days
``pace``              log(1 + rows of the last day) - log(1 + rows of the last week / 7)
``hours since last``  log(1 + hours since the entity's last row)
====================  ==============================================================================

Median and quartiles, of the 100 newest rows where there are more, because the past may hold what is
looked for: three frauds of five times the usual amount move a mean, and then hide the fourth.

Only strictly earlier rows count: no row sees itself, a row of the same instant, or its own future.
Without any history a feature is missing. `EntityHistory.process` of one night after another gives
what one call on all nights together gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Arrays, Bools, Floats, Ints
from vae_anomaly.errors import DataError, SchemaError
from vae_anomaly.words import names_of, reason_of

FEATURES = ("amount / usual", "amount z", "day / usual", "week / usual", "pace", "hours since last")
DAY_NS = 86_400_000_000_000
HOUR_NS = DAY_NS // 24
DAY, WEEK, MONTH = 1, 7, 30  # days
HISTORY_DAYS = MONTH
_SPREAD_FLOOR = 1.0  # in the amount's unit
QUARTILES_PER_SD = 1.349  # interquartile range of a normal distribution with standard deviation 1
NEWEST = 100  # rows that the median and the quartiles look at
_BLOCK = 8192  # rows whose pasts are sorted at a time
NEVER = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class _Rows:
    """Rows of the past, unordered: entity codes (into the names), ns since 1970 and amounts."""

    entity: Ints
    time: Ints
    amount: Floats

    def __len__(self) -> int:
        return len(self.entity)

    def joined(self, other: _Rows) -> _Rows:
        """Return both."""
        return _Rows(
            np.concatenate([self.entity, other.entity]),
            np.concatenate([self.time, other.time]),
            np.concatenate([self.amount, other.amount]),
        )

    def take(self, rows: AnyArray) -> _Rows:
        """Return some rows."""
        return _Rows(self.entity[rows], self.time[rows], self.amount[rows])


class EntityHistory:
    """Turn rows into features relative to their entity's past, night by night.

    Parameters
    ----------
    entity : str
        Column that names the entity.
    time : str
        Column of timestamps.
    amount : str
        Column of numbers.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "card": ["a", "a", "a"],
    ...     "at": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    ...     "euro": [9.0, 9.0, 99.0],
    ... })
    >>> history = EntityHistory("card", "at", "euro")
    >>> history.process(rows)["card: amount / usual"].round(2).tolist()
    [nan, 0.0, 2.3]
    """

    def __init__(self, entity: str, time: str, amount: str) -> None:
        self.entity, self.time, self.amount = entity, time, amount
        self._names: pd.Index = pd.Index([], dtype=object)
        empty = np.empty(0, dtype=np.int64)
        self._past = _Rows(empty, empty, np.empty(0))
        self._last = empty  # time of each entity's last row

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features that `process` returns."""
        return tuple(f"{self.entity}: {feature}" for feature in FEATURES)

    @property
    def n_rows(self) -> int:
        """Rows of the last 30 days that are remembered."""
        return len(self._past)

    @property
    def newest(self) -> int | None:
        """Time of the newest row, nanoseconds since 1970; None before the first."""
        return int(self._last.max()) if self._last.size else None

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the features of rows, (N, 6) with their index, and remember the rows.

        The rows may be in any order and of several days, but none may have been processed before.
        NaN where the entity has no past, or the entity, time or amount is missing.

        Raises `SchemaError` if a column is missing; `DataError` if the time is no timestamp, or the
        amount no number.
        """
        rows, known = self._read(frame)
        values = np.full((len(frame), len(FEATURES)), np.nan)
        if known.any():
            values[known] = _features(self._past, rows, self._last)
            self._remember(rows)
        return pd.DataFrame(values, index=frame.index, columns=list(self.names))

    def extend(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with the features as further columns, and remember its rows."""
        return pd.concat([frame, self.process(frame)], axis=1)

    def amounts_before(self, key: str, time_ns: int, most: int) -> Floats:
        """Return the newest remembered amounts of an entity before a time, the oldest first."""
        (code,) = self._names.get_indexer(pd.Index([key], dtype=object))
        past = self._past.take((self._past.entity == code) & (self._past.time < time_ns))
        return past.amount[np.argsort(past.time, kind="stable")][-most:]

    def copy(self) -> EntityHistory:
        """Return an independent history: to try a night without remembering it."""
        other = EntityHistory(self.entity, self.time, self.amount)
        other._names, other._past, other._last = self._names, self._past, self._last.copy()
        return other

    def arrays(self) -> Arrays:
        """Return the state as plain arrays; the names of entities as UTF-8."""
        names = [str(name).encode() for name in self._names]
        return {
            "names": np.frombuffer(b"".join(names), dtype=np.uint8),
            "name_bytes": np.array([len(name) for name in names], dtype=np.int64),
            "last": self._last,
            "entity": self._past.entity,
            "time": self._past.time,
            "amount": self._past.amount,
        }

    def restore(self, arrays: Mapping[str, AnyArray]) -> None:
        """Take the state that `arrays` gave; ValueError or KeyError if it is not whole."""
        text, ends = arrays["names"].tobytes(), np.cumsum(arrays["name_bytes"]).tolist()
        names = [text[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]
        past = _Rows(arrays["entity"], arrays["time"], arrays["amount"])
        known = len(names) == len(arrays["last"])
        whole = known and len({len(past.entity), len(past.time), len(past.amount)}) == 1
        inside = whole and not ((past.entity < 0) | (past.entity >= len(names))).any()
        if not inside or len(set(names)) < len(names):
            raise ValueError("its arrays do not belong together")
        self._names, self._past = pd.Index(names, dtype=object), past
        self._last = np.array(arrays["last"])

    def _read(self, frame: pd.DataFrame) -> tuple[_Rows, Bools]:
        """Return the rows that have entity, time and amount, and which those are."""
        _refuse_missing(frame, [self.entity, self.time, self.amount])
        try:
            times = pd.to_datetime(frame[self.time]).to_numpy("datetime64[ns]")
            amounts = np.asarray(pd.to_numeric(frame[self.amount]), dtype=np.float64)
        except (TypeError, ValueError) as err:
            raise DataError(
                f"Column {self.time!r} must hold timestamps and {self.amount!r} numbers: "
                f"{reason_of(err)}. Convert them first."
            ) from err
        known = ~np.isnat(times) & np.isfinite(amounts) & frame[self.entity].notna().to_numpy()
        keys = frame[self.entity].to_numpy()[known].astype(str)
        rows = _Rows(self._codes(keys), times[known].astype(np.int64), amounts[known])
        return rows, known

    def _codes(self, keys: AnyArray) -> Ints:
        """Return codes of entity names; new names are added at the end."""
        codes, names = pd.factorize(keys)
        place = self._names.get_indexer(pd.Index(names, dtype=object))
        new = np.flatnonzero(place < 0)
        place[new] = len(self._names) + np.arange(len(new))
        self._names = self._names.append(pd.Index(names[new], dtype=object))
        never = np.full(len(new), NEVER)
        self._last = np.concatenate([self._last, never])
        return np.asarray(place[codes], dtype=np.int64)

    def _remember(self, rows: _Rows) -> None:
        """Keep the last 30 days before the newest row, and each entity's last time."""
        np.maximum.at(self._last, rows.entity, rows.time)
        joined = self._past.joined(rows)
        self._past = joined.take(joined.time >= joined.time.max() - MONTH * DAY_NS)


@dataclass(frozen=True)
class _Window:
    """Count and mean of the amounts in a window; the mean of an empty one is NaN."""

    count: Floats
    mean: Floats


@dataclass(frozen=True)
class _Index:
    """Rows sorted by entity and time, with running sums.

    ``moments`` are the distinct times, ascending; ``key`` is ``entity * (len(moments) + 1) + rank
    of the time``, ascending; ``total`` is the running sum of amounts, (N + 1,).
    """

    moments: Ints
    key: Ints
    entity: Ints
    time: Ints
    amount: Floats
    total: Floats

    @classmethod
    def of(cls, rows: _Rows) -> _Index:
        """Sort rows."""
        moments, rank = np.unique(rows.time, return_inverse=True)
        key = rows.entity * (len(moments) + 1) + rank
        order = np.argsort(key, kind="stable")
        amount = rows.amount[order]
        return cls(
            moments=moments,
            key=key[order],
            entity=rows.entity[order],
            time=rows.time[order],
            amount=amount,
            total=np.concatenate([[0.0], np.cumsum(amount)]),
        )

    def place(self, entity: Ints, time: Ints) -> Ints:
        """Return how many sorted rows come before an entity's first row at or after a time."""
        rank = np.searchsorted(self.moments, time, side="left")
        return np.searchsorted(self.key, entity * (len(self.moments) + 1) + rank, side="left")

    def window(self, entity: Ints, time: Ints, days: int) -> _Window:
        """Sum up the entity's rows in [time - days, time)."""
        stop, start = self.place(entity, time), self.place(entity, time - days * DAY_NS)
        count = (stop - start).astype(np.float64)
        mean = (self.total[stop] - self.total[start]) / np.where(count > 0.0, count, np.nan)
        return _Window(count, mean)

    def quartiles(self, entity: Ints, time: Ints, days: int) -> Floats:
        """Return the quartiles of the newest amounts in [time - days, time), (N, 3); else NaN."""
        stop = self.place(entity, time)
        start = np.maximum(self.place(entity, time - days * DAY_NS), stop - NEWEST)
        blocks = range(0, len(stop), _BLOCK)
        parts = [
            _quartiles(self.amount, start[b : b + _BLOCK], stop[b : b + _BLOCK]) for b in blocks
        ]
        return np.concatenate(parts) if parts else np.empty((0, 3))

    def previous(self, entity: Ints, time: Ints) -> Ints:
        """Return the time of the entity's latest strictly earlier row, or `NEVER`."""
        place = self.place(entity, time) - 1
        has_past = (place >= 0) & (self.entity[place] == entity)
        return np.where(has_past, self.time[place], NEVER)


def _features(past: _Rows, rows: _Rows, last: Ints) -> Floats:
    """Return the features of rows, (N, 6), from the past and from each other."""
    index = _Index.of(past.joined(rows))
    entity, time, amount = rows.entity, rows.time, rows.amount
    day, week = (index.window(entity, time, days) for days in (DAY, WEEK))
    lower, median, upper = index.quartiles(entity, time, MONTH).T
    older = np.where(last[entity] < time, last[entity], NEVER)  # beyond the 30 days remembered
    before = np.maximum(index.previous(entity, time), older)
    known = before > NEVER
    gap = np.where(known, time - np.where(known, before, time), 0) / HOUR_NS
    return np.column_stack(
        [
            _log_ratio(amount, median),
            (amount - median) / np.maximum((upper - lower) / QUARTILES_PER_SD, _SPREAD_FLOOR),
            _log_ratio(day.mean, median),
            _log_ratio(week.mean, median),
            np.where(known, np.log1p(day.count) - np.log1p(week.count / WEEK), np.nan),
            np.where(known, np.log1p(gap), np.nan),
        ]
    )


def _quartiles(amount: Floats, start: Ints, stop: Ints) -> Floats:
    """Return the quartiles of ``amount[start:stop]`` for each pair of bounds, (N, 3)."""
    count = stop - start
    places = start[:, None] + np.arange(max(int(count.max(initial=0)), 1))  # (N, most rows)
    inside = places < stop[:, None]
    ordered = np.where(inside, amount[np.where(inside, places, 0)], np.inf)
    ordered.sort(axis=1)
    wanted = np.maximum(count - 1, 0)[:, None] * np.array([0.25, 0.5, 0.75])
    below = wanted.astype(np.int64)
    low = np.take_along_axis(ordered, below, axis=1)
    high = np.take_along_axis(ordered, np.minimum(below + 1, np.maximum(count - 1, 0)[:, None]), 1)
    with np.errstate(invalid="ignore"):  # of rows without a past
        values = low + (wanted - below) * (high - low)
    return np.where(count[:, None] > 0, values, np.nan)


def _log_ratio(amount: Floats, usual: Floats) -> Floats:
    """Return log((amount + 1) / (usual + 1)); amounts below 0 count as 0."""
    return np.log1p(np.maximum(amount, 0.0)) - np.log1p(np.maximum(usual, 0.0))


def _refuse_missing(frame: pd.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise SchemaError(
            f"The entity history needs the columns {names_of(map(repr, missing), 10)}, which the "
            "table does not have. Name the entity, time and amount columns of this table."
        )
