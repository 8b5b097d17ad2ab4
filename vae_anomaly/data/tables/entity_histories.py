"""Histories of several entities at once: what a table declares, and the state it carries on.

::

    columns = EntityColumns(("card", "shop"), time="at", amount="euro")
    histories = EntityHistories(columns)
    monday = histories.extend(monday)      # the table, with the features of card and shop
    histories.save("monday.npz")           # all that Tuesday needs

The state is plain arrays: times and amounts of the last 30 days, and when each entity was last
seen. It never holds another column. The same rows give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Arrays, Floats, Times
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.entity_features import EntityHistory
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.kinds import Column, ColumnKind, infer_column
from vae_anomaly.errors import ConfigError, DataError, ModelRefusedError, SchemaError
from vae_anomaly.files import replace_file
from vae_anomaly.state import named, under
from vae_anomaly.words import names_of, reason_of

_FORMAT = 1
_UNREADABLE: Final = (
    OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error,
    NotImplementedError, RuntimeError,  # of zipfile: another compression, a password
)  # fmt: skip
_MANY_UNREAD = 0.5  # of the amounts, where it is not clear how they are written


@dataclass(frozen=True)
class EntityColumns:
    """Which columns name the entities, and which hold time and amount.

    Parameters
    ----------
    entities : tuple of str
        Columns such as card, customer, machine; each gets features of its own.
    time : str
        Column of times.
    amount : str
        Column of numbers; below 0 counts as 0 where ratios are formed.
    time_format : str, optional
        How text or numbers in the time column are written, as `Column.time_format`.
    amount_format : str, optional
        How amounts are written, as `Column.number_format`.
    amount_missing : tuple of str
        What stands for a missing amount, as `Column.missing`.

    Raises
    ------
    ConfigError
        If there is no entity, or one column was given two roles.
    """

    entities: tuple[str, ...]
    time: str
    amount: str
    time_format: cells.TimeFormat | None = None
    amount_format: str | None = None
    amount_missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        roles = [*self.entities, self.time, self.amount]
        twice = sorted({name for name in roles if roles.count(name) > 1})
        if not self.entities or twice:
            raise ConfigError(
                "Entities need a column each, and time and amount columns of their own; got "
                f"entity {', '.join(self.entities) or 'none'}, time {self.time}, amount "
                f"{self.amount}. Name each column once."
            )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every column that is read."""
        return (*self.entities, self.time, self.amount)

    @property
    def as_text(self) -> tuple[str, ...]:
        """The columns that a CSV is read with as they are written, not as numbers."""
        return self.entities if self.amount_format is None else (*self.entities, self.amount)

    @property
    def options(self) -> list[str]:
        """The words that declare them on the command line."""
        entities = [word for entity in self.entities for word in ("--entity", entity)]
        return [*entities, "--time", self.time, "--amount", self.amount]

    def amounts(self, frame: pd.DataFrame) -> Floats:
        """Read the amounts of rows, shape (N,); NaN where there is none."""
        return self._amount_column.numbers_in(frame[self.amount])

    @property
    def _amount_column(self) -> Column:
        return Column(
            name=self.amount,
            kind=ColumnKind.NUMERIC,
            number_format=self.amount_format,
            missing=self.amount_missing,
        )

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse a table without these columns; the SchemaError names what is missing."""
        lacking = [name for name in self.inputs if name not in frame.columns]
        if lacking:
            raise SchemaError(
                f"The table lacks {names_of(map(repr, lacking), 10)}, of which the entities' "
                f"history is made. Columns: {names_of(frame.columns, 20)}."
            )

    def for_table(self, frame: pd.DataFrame) -> EntityColumns:
        """Return the declaration with the formats of time and amount, as this table writes them.

        Raises `DataError` if its cells do not say how amounts are written.
        """
        self.check(frame)
        said = Column(name=self.time, kind=ColumnKind.TIMESTAMP, time_format=self.time_format)
        time = infer_column(self.time, frame[self.time], said)
        amount = infer_column(self.amount, frame[self.amount], self._amount_column)
        columns = replace(self, time_format=time.time_format, amount_format=amount.number_format)
        doubt = infer_column(self.amount, frame[self.amount], missing=self.amount_missing).doubt
        if doubt and np.isnan(columns.amounts(frame)).mean() > _MANY_UNREAD:
            raise DataError(f"The entities' amounts cannot be read: {doubt}.")
        return columns


class EntityHistories:
    """Add features relative to each entity's own past, night by night.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "card": ["a", "a", "a"],
    ...     "at": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    ...     "euro": [9.0, 9.0, 99.0],
    ... })
    >>> histories = EntityHistories(EntityColumns(("card",), time="at", amount="euro"))
    >>> histories.extend(rows)["card: amount / usual"].round(2).tolist()
    [nan, 0.0, 2.3]
    >>> time_text(histories.until)
    '2026-01-03 00:00:00'
    """

    def __init__(self, columns: EntityColumns) -> None:
        self.columns = columns
        self._each = [EntityHistory(e, columns.time, columns.amount) for e in columns.entities]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features, entity by entity."""
        return tuple(name for one in self._each for name in one.names)

    @property
    def until(self) -> int | None:
        """Time of the newest row remembered, nanoseconds since 1970; None before the first."""
        times = [one.newest for one in self._each if one.newest is not None]
        return max(times, default=None)

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the features of rows, (N, features) with their index, and remember the rows.

        The rows may be in any order, but none may have been processed before. A row whose entity,
        time or amount is missing or cannot be read has no features of that entity and leaves no
        trace.
        """
        read = self._read(frame)
        return pd.concat([one.process(read) for one in self._each], axis=1)

    def extend(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with the features as further columns, and remember its rows.

        Raises `DataError` if the table has a column of a feature's name.
        """
        self.refuse_taken(frame.columns)
        return pd.concat([frame, self.process(frame)], axis=1)

    def refuse_taken(self, names: Iterable[str]) -> None:
        """Refuse a table that has a column of a feature's name (DataError)."""
        taken = sorted(set(self.names) & set(names))
        if taken:
            raise DataError(
                f"The table already has a column {taken[0]!r}, which the entities' history would "
                "make. Rename it."
            )

    def blank(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with the features, all missing: to check its columns."""
        self.columns.check(frame)
        return frame.assign(**dict.fromkeys(self.names, np.nan))

    def times(self, frame: pd.DataFrame) -> Times:
        """Return the times of rows, shape (N,), datetime64[ns]; NaT where none, or open-ended."""
        return cells.closed(cells.read_times(frame[self.columns.time], self.columns.time_format)[0])

    def span(self, frame: pd.DataFrame) -> tuple[int, int] | None:
        """Return the oldest and the newest time of a table, ns since 1970; None if it has none."""
        times = self.times(frame)
        known = times[~np.isnat(times)].astype(np.int64)
        return (int(known.min()), int(known.max())) if known.size else None

    def amounts_before(self, frame: pd.DataFrame, most: int) -> list[dict[str, Floats]]:
        """Return, row by row, the newest remembered amounts before it, the oldest first.

        By entity; without those that are missing or unknown, as is the time.
        """
        read = self._read(frame)
        times = read[self.columns.time].to_numpy("datetime64[ns]")
        found: list[dict[str, Floats]] = [{} for _ in times]
        for one in self._each:
            for row, (key, time) in enumerate(zip(read[one.entity], times, strict=True)):
                if key is not None and not np.isnat(time):
                    past = one.amounts_before(str(key), int(time.astype(np.int64)), most)
                    found[row] |= {one.entity: past} if past.size else {}
        return found

    def copy(self) -> EntityHistories:
        """Return independent histories: to try a night without remembering it."""
        other = EntityHistories(self.columns)
        other._each = [one.copy() for one in self._each]
        return other

    def digest(self) -> str:
        """Return a SHA-256 of columns and state, the same wherever it is kept."""
        digest = hashlib.sha256("\0".join(self.columns.inputs).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.size}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def arrays(self) -> Arrays:
        """Return the state as plain arrays; the names of entities as UTF-8."""
        return named({str(i): one.arrays() for i, one in enumerate(self._each)})

    @classmethod
    def from_arrays(cls, columns: EntityColumns, arrays: Mapping[str, AnyArray]) -> Self:
        """Build histories from what `arrays` gave."""
        histories = cls(columns)
        for i, one in enumerate(histories._each):
            one.restore(under(str(i), arrays))
        return histories

    def save(self, path: str | Path) -> Path:
        """Write the state and its declaration to one ``.npz`` file, in one step.

        The same rows give the same bytes. Raises `StorageError` if it cannot be written.
        """
        declared = np.array(list(map(str, [*self.columns.inputs, self.columns.time_format or ""])))
        arrays: dict[str, Any] = {"format": np.array([_FORMAT]), "columns": declared}
        written = [self.columns.amount_format or "", *self.columns.amount_missing]
        if any(written):
            arrays["amount"] = np.array(written)
        with replace_file(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **(arrays | self.arrays()))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; ModelRefusedError if it is missing, damaged or foreign."""
        try:
            with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
                arrays = dict(file)
            if int(arrays.pop("format")[0]) != _FORMAT:
                raise ValueError("another format")
            *entities, time, amount, form = map(str, arrays.pop("columns"))
            written, *missing = map(str, arrays.pop("amount", np.array([""])))
            columns = EntityColumns(
                tuple(entities), time, amount, form or None, written or None, tuple(missing)
            )
            return cls.from_arrays(columns, arrays)
        except _UNREADABLE as err:
            raise ModelRefusedError(
                f"{path} holds no state of entities that can be read: {reason_of(err)}. "
                "Restore the file, or start from the model's own state again."
            ) from err

    def _read(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return entities, times and amounts with one plain type each; bad cells are missing."""
        self.columns.check(frame)
        columns = self.columns
        read: Arrays = {e: read_keys(frame[e]) for e in columns.entities}
        read[columns.time] = self.times(frame)
        read[columns.amount] = columns.amounts(frame)
        return pd.DataFrame(read, index=frame.index)


def time_text(time_ns: int | None) -> str:
    """Write nanoseconds since 1970 for people, in UTC to the second."""
    return "the beginning" if time_ns is None else str(pd.Timestamp(time_ns).floor("s"))
