"""Notice when a whole input lies where training never was: a clock, other units, new open ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from vae_anomaly.data.tables.cells import is_open
from vae_anomaly.detectors.tabular.encode.columns import ColumnEncoder, NumericColumn
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn

MIN_CELLS = 20
MOVED_SHARE = 0.95


class MovedColumns:
    """Count, piece by piece, the cells of each column that lie outside what training had."""

    def __init__(self) -> None:
        self._columns: Sequence[ColumnEncoder] = ()
        self._known: Counter[str] = Counter()
        self._outside: Counter[str] = Counter()

    def add(self, columns: Sequence[ColumnEncoder], frame: pd.DataFrame) -> None:
        """Take the next rows, typed as the schema casts them."""
        self._columns = columns
        for column in columns:
            cells = frame[column.name]
            self._known[column.name] += int(cells.notna().sum())
            self._outside[column.name] += _n_outside(column, cells)

    def notes(self) -> Iterator[str]:
        """Say which columns have moved, and what that may mean."""
        for column in self._columns:
            known, outside = self._known[column.name], self._outside[column.name]
            if isinstance(column, TimestampColumn) and outside:
                yield (
                    f"column {column.name!r}: {outside:,} of {known:,} dates are open-ended, which "
                    "training never had; they are read as empty"
                )
            elif isinstance(column, NumericColumn) and _has_moved(outside, known):
                yield _moved_words(column, outside, known)


def _has_moved(outside: int, known: int) -> bool:
    return known >= MIN_CELLS and outside >= MOVED_SHARE * known


def _n_outside(column: ColumnEncoder, cells: pd.Series) -> int:
    if isinstance(column, TimestampColumn):
        return 0 if column.open_share else int(is_open(cells).sum())
    if not isinstance(column, NumericColumn) or column.lowest is None or column.highest is None:
        return 0
    numbers = np.asarray(cells, dtype=np.float64)
    return int(np.sum((numbers < column.lowest) | (numbers > column.highest)))


def _moved_words(column: NumericColumn, outside: int, known: int) -> str:
    return (
        f"column {column.name!r} lies outside its training range ({column.lowest:g} to "
        f"{column.highest:g}) in {outside:,} of {known:,} rows: it looks like a clock or other "
        f"units. If it counts on, train again with --ignore {column.name}"
    )
