"""Read tables in the order of time, with the features of their entities' own past."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from vae_anomaly.arrays import Bools
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories, time_text
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.errors import DataError, SchemaError

WARM_UP_DAYS = 7.0
WARM_UP_SHARE = 0.25  # of a short span
DAY_NS = 86_400_000_000_000
ROWS_TO_INFER = 100_000  # of each file, at equal distances, tell how times are written


@dataclass(frozen=True)
class RowsWithHistory:
    """Rows to train on, and what they taught of the entities.

    Parameters
    ----------
    frame : DataFrame
        The rows after the warm-up, with the features.
    histories : EntityHistories
        As they stand after the last row.
    n_read : int
        Rows in the files, those of the warm-up too.
    notes : tuple of str
        What was done, for the report.
    """

    frame: pd.DataFrame
    histories: EntityHistories
    n_read: int
    notes: tuple[str, ...]


def read_with_history(files: Sequence[Path], columns: EntityColumns) -> RowsWithHistory:
    """Read table files whole, from the oldest to the newest, without the first days.

    Raises
    ------
    SchemaError, DataError
        As `Past`.
    """
    past = Past(files, columns)
    frame = past.frame()
    return RowsWithHistory(frame, past.histories, past.n_read, past.notes)


class Past:
    """Histories that fill while tables are read once, from the oldest file to the newest.

    Every row fills them. In the first days nothing is known of anybody, and every row would look
    like a newcomer's: those of 7 days, or of a quarter of a shorter span, are not handed on.

    Parameters
    ----------
    files : sequence of path
    columns : EntityColumns

    Raises
    ------
    SchemaError
        If a column of `columns` is missing.
    DataError
        If a file cannot be read, has other columns, or no time can be read at all.

    Attributes
    ----------
    files : list of Path
        From the oldest to the newest.
    histories : EntityHistories
        As they stand after the last row that was read.
    n_read : int
        Rows read so far, those of the warm-up too.
    """

    def __init__(self, files: Sequence[Path], columns: EntityColumns) -> None:
        self.files, columns, (oldest, self._newest) = order_by_time(files, columns)
        self.histories = EntityHistories(columns)
        self._days = min(WARM_UP_DAYS, WARM_UP_SHARE * (self._newest - oldest) / DAY_NS)
        self._from = np.datetime64(oldest + int(self._days * DAY_NS), "ns")
        self.n_read = self._n_warm_up = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, for the report."""
        return (
            f"histories of {', '.join(self.histories.columns.entities)} reach until "
            f"{time_text(self._newest)}; the first {self._days:.1f} days "
            f"({self._n_warm_up:,} rows) only fill them and are not trained on",
        )

    def frame(self) -> pd.DataFrame:
        """Return all rows after the warm-up, with the features."""
        frame = pd.concat(list(extend_in_time_order(self.files, self.histories)), ignore_index=True)
        return frame[self._kept(frame)].reset_index(drop=True)

    def extend(self, pieces: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Give pieces of `files` their features, and leave out the warm-up.

        Entities, times, amounts and features of one file at a time are held.

        Parameters
        ----------
        pieces : iterable of (int, Arrow table)
            Number of the file, and its next rows as stored: all of them, file after file.
        """
        at, start = -1, 0
        features, kept = pd.DataFrame(), np.zeros(0, dtype=np.bool_)
        for place, table in pieces:
            if place != at:
                at, start = place, 0
                self.histories.refuse_taken(table.column_names)
                rows = read_table(self.files[place], columns=list(self.histories.columns.inputs))
                features, kept = self.histories.process(rows), self._kept(rows)
            here = slice(start, start + len(table))
            start += len(table)
            if kept[here].any():
                yield place, _beside(table, features.iloc[here]).filter(pa.array(kept[here]))

    def _kept(self, frame: pd.DataFrame) -> Bools:
        """Say which rows come after the warm-up, shape (N,); count them all."""
        kept = np.asarray(~(self.histories.times(frame) < self._from), dtype=np.bool_)
        self.n_read += len(kept)
        self._n_warm_up += int(np.sum(~kept))
        return kept


def order_by_time(
    files: Sequence[Path], columns: EntityColumns
) -> tuple[list[Path], EntityColumns, tuple[int, int]]:
    """Sort table files by their newest time; tell how they write times, and the span of all."""
    times = pd.concat([_some_times(file, columns) for file in files], ignore_index=True)
    columns = columns.for_table(times)
    histories = EntityHistories(columns)
    spans = [histories.span(read_table(file, columns=[columns.time])) for file in files]
    known = [span for span in spans if span is not None]
    if not known:
        raise DataError(
            f"No cell of column {columns.time!r} can be read as a time. Name the time column with "
            "--time, or correct its cells."
        )
    newest = [-1 if span is None else span[1] for span in spans]
    ordered = [files[i] for i in np.argsort(newest, kind="stable")]
    return ordered, columns, (min(span[0] for span in known), max(span[1] for span in known))


def extend_in_time_order(
    files: Sequence[Path], histories: EntityHistories
) -> Iterator[pd.DataFrame]:
    """Yield each file's rows with the features; the histories remember them, file by file."""
    first: list[str] | None = None
    for file in files:
        frame = read_table(file)
        first = first or sorted(frame.columns)
        if sorted(frame.columns) != first:
            odd = sorted(set(first) ^ set(frame.columns))[0]
            raise DataError(
                f"{file} and {files[0]} differ in column {odd!r}. Give files with the same columns."
            )
        yield histories.extend(frame)


def _some_times(file: Path, columns: EntityColumns) -> pd.DataFrame:
    try:
        frame = read_table(file, columns=list(columns.inputs))
    except DataError as err:
        if "has no column" in str(err):
            raise SchemaError(f"{err} Name them with --entity, --time and --amount.") from None
        raise
    return frame.iloc[:: -(-len(frame) // ROWS_TO_INFER) or 1]


def _beside(table: Any, features: pd.DataFrame) -> Any:
    """Return an Arrow table with the features as further columns; missing where they are NaN."""
    for name in features:
        cells = pa.array(features[name].to_numpy(), from_pandas=True)
        table = table.append_column(str(name), cells)
    return table
