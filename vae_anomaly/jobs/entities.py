"""Read tables in the order of time, with the features of their entities' own past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vae_anomaly.data.histories import EntityColumns, EntityHistories, time_text
from vae_anomaly.data.tables import read_table
from vae_anomaly.errors import DataError, SchemaError

__all__ = ["RowsWithHistory", "extend_in_time_order", "order_by_time", "read_with_history"]

WARM_UP_DAYS = 7.0
WARM_UP_SHARE = 0.25  # of a short span
DAY_NS = 86_400_000_000_000


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
    """Read table files from the oldest to the newest, and leave out the first days.

    In the first days nothing is known of anybody, and every row would look like a newcomer's. So 7
    days, or a quarter of a shorter span, only fill the histories.

    Raises
    ------
    SchemaError
        If a column of `columns` is missing.
    DataError
        If a file cannot be read, has other columns, or no time can be read at all.
    """
    files, columns = order_by_time(files, columns)
    histories = EntityHistories(columns)
    frame = pd.concat(list(extend_in_time_order(files, histories)), ignore_index=True)
    span = histories.span(frame)
    if span is None:
        raise DataError(
            f"No cell of column {columns.time!r} can be read as a time. Name the time column with "
            "--time, or correct its cells."
        )
    days = min(WARM_UP_DAYS, WARM_UP_SHARE * (span[1] - span[0]) / DAY_NS)
    kept = ~(histories.times(frame) < np.datetime64(span[0] + int(days * DAY_NS), "ns"))
    note = (
        f"histories of {', '.join(columns.entities)} reach until {time_text(span[1])}; the first "
        f"{days:.1f} days ({np.sum(~kept):,} rows) only fill them and are not trained on"
    )
    return RowsWithHistory(frame[kept].reset_index(drop=True), histories, len(frame), (note,))


def order_by_time(
    files: Sequence[Path], columns: EntityColumns
) -> tuple[list[Path], EntityColumns]:
    """Sort table files by their newest time; tell how they write times."""
    times = [_times_of(file, columns) for file in files]
    columns = columns.for_table(pd.concat(times, ignore_index=True))
    spans = [EntityHistories(columns).span(frame) for frame in times]
    newest = [-1 if span is None else span[1] for span in spans]
    return [files[i] for i in np.argsort(newest, kind="stable")], columns


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


def _times_of(file: Path, columns: EntityColumns) -> pd.DataFrame:
    try:
        return read_table(file, columns=list(columns.inputs))
    except DataError as err:
        if "has no column" in str(err):
            raise SchemaError(f"{err} Name them with --entity, --time and --amount.") from None
        raise
