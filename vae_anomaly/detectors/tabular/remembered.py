"""The cells of normal rows that a model remembers, column by column, and the groups they fall into.

The groups of a column are its values where they are few; twentieths of the rows where it holds
numbers; and eighths of a day where it holds times. An empty number or time has a group of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.columns import (
    CategoricalColumn,
    ColumnEncoder,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.model import TabularModel

_MOST_ROWS = 5_000
_MOST_RELATED = 24  # columns that a column is set beside
_TWENTIETHS = np.linspace(0.05, 0.95, 19)
PARTS_OF_DAY, HOURS_OF_PART = 8, 3


@dataclass(frozen=True)
class Groups:
    """In which group of one column the remembered rows lie, and the rows that are asked about."""

    remembered: Ints  # (M,)
    asked: Ints  # (N,)
    n: int


class RememberedCells:
    """Cells of at most 5,000 normal rows, beside an examination of N rows."""

    def __init__(self, examination: TableExamination) -> None:
        self.examination = examination
        self.model: TabularModel = examination.model
        self.vectors: Floats32 = self.model.main.data.even[:_MOST_ROWS]
        ends = np.cumsum([len(column.features) for column in self.model.encoder.columns])
        self._starts = [0, *ends.tolist()]
        self._ascending: dict[int, tuple[Ints, Floats]] = {}
        self._groups: dict[int, Groups | None] = {}

    def related(self, column: int) -> list[int]:
        """Return the other columns that have most to do with one, by correlation of features."""
        strength = self._relations[column].copy()
        strength[column] = -1.0
        order = np.argsort(-strength, kind="stable")[: min(_MOST_RELATED, len(strength) - 1)]
        return [int(other) for other in order]

    @cached_property
    def _relations(self) -> Floats:
        """The largest correlation between features of two columns, (columns, columns)."""
        rows = self.vectors - self.vectors.mean(axis=0)
        rows = rows / np.maximum(np.linalg.norm(rows, axis=0), 1e-12)
        correlation = np.abs(rows.T @ rows).astype(np.float64)
        of_columns = np.stack([correlation[mine].max(axis=0) for mine in self._owned.T])
        return np.stack([of_columns[:, mine].max(axis=1) for mine in self._owned.T], axis=1)

    def squared_apart(self, rows: Ints, column: int) -> Floats:
        """Return how far some rows lie from the remembered ones in all other columns, (n, M).

        Squared, less a constant of each row; rows of another condition are infinitely far.
        """
        main, viewed = self.model.main, self.examination.main.viewed[rows]
        others = ~self.in_column(column)
        known = self.vectors[:, others].astype(np.float64)
        asked = viewed[:, others].astype(np.float64)
        squared = np.square(known).sum(axis=1) - 2.0 * asked @ known.T
        if main.condition is not None and column != self.model.condition:
            same = main.condition.codes(viewed)[:, None] == main.condition.codes(self.vectors)
            squared[~same & same.any(axis=1, keepdims=True)] = np.inf
        return np.asarray(squared)

    def in_column(self, column: int) -> Bools:
        """Say which features are made of a column, (D,)."""
        return np.asarray(self._owned[:, column])

    @cached_property
    def _owned(self) -> Bools:
        return np.asarray(self.model.encoder.ownership() > 0.0)

    def feature(self, place: int, rows: Ints | slice = slice(None)) -> Floats:
        """Return one encoded feature of the remembered rows, or of some of them, shape (M,)."""
        vectors = self.vectors[rows]
        return self.model.main.invert(place, vectors[:, place].astype(np.float64), vectors)

    def numbers(self, column: int) -> Floats:
        """Return the numbers of a numeric column, shape (M,)."""
        return self.feature(self._starts[column])

    def ascending(self, column: int) -> tuple[Ints, Floats]:
        """Return the order of a column's numbers, and the numbers in it, each of shape (M,)."""
        if column not in self._ascending:
            numbers = self.numbers(column)
            order = np.argsort(numbers)
            self._ascending[column] = order, numbers[order]
        return self._ascending[column]

    def groups(self, column: int) -> Groups | None:
        """Return the groups of a column; None where it has none to speak of."""
        if column not in self._groups:
            self._groups[column] = self._grouped(column)
        return self._groups[column]

    def _grouped(self, column: int) -> Groups | None:
        described = self.model.encoder.columns[column]
        if described.n_codes:
            return self._codes(described, column)
        if isinstance(described, NumericColumn):
            return self._twentieths(column)
        if isinstance(described, TimestampColumn) and described.clock:
            return self._parts_of_day(described, column)
        return None

    def _codes(self, described: ColumnEncoder, column: int) -> Groups:
        place = self.model.encoder.discrete.index(column)
        asked = self.examination.table.codes[:, place]
        start = self._starts[column]
        if isinstance(described, CategoricalColumn):
            remembered = self.vectors[:, start : start + described.n_codes].argmax(axis=1)
        else:
            apart = np.abs(self.numbers(column)[:, None] - described.code_values()[:-1, 0])
            remembered = apart.argmin(axis=1)
            is_empty = np.isnan(self.asked_numbers(column))
            asked = np.where(is_empty, described.n_codes - 1, asked)  # like one never seen
        return Groups(remembered.astype(np.int64), asked, described.n_codes)

    def _twentieths(self, column: int) -> Groups:
        numbers = self.numbers(column)
        edges = np.unique(np.quantile(numbers, _TWENTIETHS))
        asked = self.asked_numbers(column)
        empty = len(edges) + 1
        groups = np.where(np.isnan(asked), empty, np.searchsorted(edges, asked))
        return Groups(np.searchsorted(edges, numbers), groups, empty + 1)

    def _parts_of_day(self, described: TimestampColumn, column: int) -> Groups:
        start = self._starts[column]
        turn = np.arctan2(self.feature(start), self.feature(start + 1)) / (2.0 * np.pi)
        remembered = (turn % 1.0 * PARTS_OF_DAY).astype(np.int64) % PARTS_OF_DAY
        empty = PARTS_OF_DAY
        hours = self.examination.frame[described.name].dt.hour
        asked = (hours // HOURS_OF_PART).fillna(empty).to_numpy(np.int64)
        return Groups(remembered, asked, empty + 1)

    def asked_numbers(self, column: int) -> Floats:
        """Return the numbers of a numeric column of the rows that are asked about, NaN if empty."""
        name = self.model.encoder.columns[column].name
        return np.asarray(self.examination.frame[name], dtype=np.float64)
