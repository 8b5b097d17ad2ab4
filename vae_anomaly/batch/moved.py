"""Notice when a whole input lies where training never was.

A clock, other units, categories that are written otherwise, a column that has run dry, new open
ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence

import numpy as np
import pandas as pd

from vae_anomaly.data.tables.cells import is_open
from vae_anomaly.detectors.tabular.encode.columns import (
    MISSING,
    CategoricalColumn,
    ColumnEncoder,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.errors import DataError
from vae_anomaly.names import typed
from vae_anomaly.words import names_of, verb_for

MIN_CELLS = 20
MOVED_SHARE = 0.95
FEW_EMPTY = 0.05  # of the cells of training


class MovedColumns:
    """Count, piece by piece, the cells of each column that lie outside what training had."""

    def __init__(self) -> None:
        self._columns: Sequence[ColumnEncoder] = ()
        self._rows = 0
        self._known: Counter[str] = Counter()
        self._outside: Counter[str] = Counter()

    def add(self, columns: Sequence[ColumnEncoder], frame: pd.DataFrame) -> None:
        """Take the next rows, typed as the schema casts them."""
        self._columns = columns
        self._rows += len(frame)
        for column in columns:
            cells = frame[column.name]
            self._known[column.name] += int(cells.notna().sum())
            self._outside[column.name] += _n_outside(column, cells)

    def refuse_dry(self, names: Container[str]) -> None:
        """Refuse rows of which a column is empty throughout, and never was in training.

        No score says how such rows look to a model that has seen none: a DataError. Looked at are
        the columns of these names, where there are enough rows.
        """
        dry = [
            column.name
            for column in self._columns
            if column.name in names and not self._known[column.name] and not _share_empty(column)
        ]
        if dry and self._rows >= MIN_CELLS:
            raise DataError(
                f"{names_of(map(repr, dry))} {verb_for(len(dry))} empty in all {self._rows:,} "
                "rows, and never was in training, so these rows cannot be told from others. Look "
                "at the source; if it stays so, train again on rows that are like these."
            )

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
            elif isinstance(column, CategoricalColumn) and _has_moved(outside, known):
                yield (
                    f"column {column.name!r} has values that training never had in {outside:,} of "
                    f"{known:,} rows; training had {', '.join(map(repr, column.levels[:3]))}. "
                    "Write them as there"
                )
            elif not known and self._rows >= MIN_CELLS and _share_empty(column) < FEW_EMPTY:
                yield (
                    f"column {column.name!r} is empty in all {self._rows:,} rows, and was in "
                    f"{_share_empty(column):.1%} of training: look at its source"
                )


def _has_moved(outside: int, known: int) -> bool:
    return known >= MIN_CELLS and outside >= MOVED_SHARE * known


def _n_outside(column: ColumnEncoder, cells: pd.Series) -> int:
    if isinstance(column, TimestampColumn):
        return 0 if column.open_share else int(is_open(cells).sum())
    if isinstance(column, CategoricalColumn):
        comes_back = column.share_as_rare("") < 1 - MOVED_SHARE
        return int((~cells.dropna().isin(column.counts)).sum()) if comes_back else 0
    if not isinstance(column, NumericColumn) or column.lowest is None or column.highest is None:
        return 0
    numbers = np.asarray(cells, dtype=np.float64)
    return int(np.sum((numbers < column.lowest) | (numbers > column.highest)))


def _share_empty(column: ColumnEncoder) -> float:
    """Return the share of training cells that were empty."""
    if isinstance(column, CategoricalColumn):
        return column.counts.get(MISSING, 0) / max(1, column.n)
    if isinstance(column, NumericColumn | TimestampColumn):
        return column.gap_share
    return 1.0


def _moved_words(column: NumericColumn, outside: int, known: int) -> str:
    return (
        f"column {column.name!r} lies outside its training range ({column.lowest:g} to "
        f"{column.highest:g}) in {outside:,} of {known:,} rows: it looks like a clock or other "
        f"units. If it counts on, train again with --ignore {typed(column.name)}"
    )
