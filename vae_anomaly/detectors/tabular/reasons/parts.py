"""What each column adds to the score of a row, beside its cell, what was expected, what is usual.

Columns that are made of an entity's history are named as a person would name them. The amount of a
row beside the usual of its entity is one thing, though two columns tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.tabular.encode.columns import (
    CategoricalColumn,
    ColumnEncoder,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.reasons.entities import entity_columns
from vae_anomaly.detectors.tabular.reasons.expected import (
    UsualCodes,
    UsualRange,
    codes_alike,
    expected_codes,
    expected_range,
    range_alike,
    readable,
)
from vae_anomaly.detectors.tabular.reasons.lone import excess_over, say_cell, say_level, scale_of
from vae_anomaly.detectors.tabular.reasons.pairs import range_beside
from vae_anomaly.detectors.tabular.reasons.typical import typical_of
from vae_anomaly.detectors.tabular.reasons.wording import name_of
from vae_anomaly.detectors.tabular.remembered import RememberedCells

_EXPECTED_OF = 4  # columns of a row, those that add most
_NARROWEST = 0.02  # width of a range, in the width of the column's usual one
_SURE, _LIKELY = 0.5, 0.2  # chance of the one value that is expected, and of one of two


@dataclass(frozen=True)
class ColumnPart:
    """What one column adds to the score of a row.

    Parameters
    ----------
    column : str
        As a person would name it.
    nats : float
        Above 0 it speaks for an anomaly, below 0 against one.
    value : str
        The cell.
    expected : str
        What the rest of the row lets one expect, in the unit of the cell; empty where nothing can
        be said.
    typical : str
        What is usual of the column: ``20 to 180``, or the most frequent values.
    """

    column: str
    nats: float
    value: str
    expected: str
    typical: str


@dataclass(frozen=True)
class RowParts:
    """What the columns add that add most, the largest first, whatever their sign; and the rest."""

    parts: tuple[ColumnPart, ...]
    rest: float


class ShownColumns:
    """The columns of a block of rows, in words."""

    def __init__(self, cells: RememberedCells) -> None:
        self.cells, self.frame = cells, cells.examination.frame
        self.columns: list[ColumnEncoder] = cells.model.encoder.columns
        self.entities = entity_columns(cells.model.entities)
        labels = [self._label(column) for column in self.columns]
        self.labels = list(dict.fromkeys(labels))
        self.label_of = np.array([self.labels.index(label) for label in labels])
        self.first = [labels.index(label) for label in self.labels]
        self._known: dict[int, tuple[list[object], str]] = {}  # cells, and what is typical

    def of(self, rows: Ints, parts: Floats, top: int) -> list[RowParts]:
        """Describe the columns that add most to some rows; ``parts`` are (n, columns), nats."""
        nats = parts @ np.eye(len(self.labels))[self.label_of]  # (n, labels)
        order = np.argsort(-np.abs(nats), axis=1, kind="stable")[:, :top]
        shown = [[self.first[label] for label in labels] for labels in order.tolist()]
        expected = self._expected(rows, shown)
        return [
            RowParts(
                tuple(
                    self._part(int(row), column, float(nats[i, label]), expected.get((i, column)))
                    for label, column in zip(order[i].tolist(), shown[i], strict=True)
                ),
                float(np.delete(nats[i], order[i]).sum()),
            )
            for i, row in enumerate(rows)
        ]

    def _label(self, column: ColumnEncoder) -> str:
        entity = self.entities.get(column.name)
        return name_of(column.name) if entity is None else entity.label

    def _part(self, row: int, column: int, nats: float, expected: str | None) -> ColumnPart:
        described = self.columns[column]
        entity, label = self.entities.get(described.name), self.labels[self.label_of[column]]
        if entity is not None:
            assert isinstance(described, NumericColumn)  # noqa: S101 - histories make numbers
            return ColumnPart(label, nats, *entity.shown(described, self.frame.iloc[row]))
        if column not in self._known:
            self._known[column] = list(self.frame[described.name]), typical_of(described)
        own, typical = self._known[column]
        return ColumnPart(label, nats, say_cell(described, own[row]), expected or "", typical)

    def _expected(self, rows: Ints, shown: Sequence[Sequence[int]]) -> dict[tuple[int, int], str]:
        """Say what is expected of the first columns of each row, by place and column."""
        asked: dict[int, list[int]] = {}
        for i, columns in enumerate(shown):
            for column in columns[:_EXPECTED_OF]:
                if self.columns[column].name not in self.entities:
                    asked.setdefault(column, []).append(i)
        said: dict[tuple[int, int], str] = {}
        for column, places in asked.items():
            words = expected_words(self.cells, column, rows[places])
            said |= {(i, column): text for i, text in zip(places, words, strict=True)}
        return said


def expected_words(cells: RememberedCells, column: int, rows: Ints) -> list[str]:
    """Say what some rows let one expect of a column; empty where nothing can be said.

    A range is what the VAE predicts, what similar rows have, or what rows have that are alike in
    the column that has most to do with it: the one that a cell lies farthest outside of, else the
    narrowest.
    """
    described, examination = cells.model.encoder.columns[column], cells.examination.take(rows)
    if isinstance(described, CategoricalColumn | NumericColumn) and described.n_codes:
        chances = (expected_codes(examination, column), codes_alike(cells, rows, column))
        return list(_likeliest(described, [one for one in chances if one is not None]))
    if not isinstance(described, NumericColumn):
        return [""] * len(rows)
    ranges = (expected_range(examination, column), range_alike(cells, rows, column),
              range_beside(cells, column, rows))  # fmt: skip
    values = cells.asked_numbers(column)[rows]
    return list(_most_telling(described, values, [one for one in ranges if one is not None]))


def _most_telling(
    described: NumericColumn, values: Floats, ranges: list[UsualRange]
) -> Iterator[str]:
    ends = np.array([readable(one, described) for one in ranges])  # (ranges, 2, n)
    scale, each = scale_of(described), np.arange(len(values))
    least = _NARROWEST * scale.width
    excess = np.array([excess_over(low, high, values, least) for low, high in ends])
    narrowest = np.argmin(ends[:, 1] - ends[:, 0], axis=0)
    best = np.where(excess.max(axis=0) > 0.0, excess.argmax(axis=0), narrowest)
    for low, high in zip(ends[best, 0, each].tolist(), ends[best, 1, each].tolist(), strict=True):
        yield scale.whole_range(low, high)


def _likeliest(
    described: CategoricalColumn | NumericColumn, chances: list[UsualCodes]
) -> Iterator[str]:
    """Name the one value that is likely, or the two that are, by the first that knows any."""
    n = len(described.levels)
    ranked = [np.argsort(-one.chance[:, :n], axis=1, kind="stable")[:, :2] for one in chances]
    for row in range(len(chances[0].chance)):
        said = ""
        for one, order in zip(chances, ranked, strict=True):
            first, *others = order[row].tolist()
            if one.chance[row, first] >= _SURE:
                said = said or say_level(described, first)
            elif others and one.chance[row, others[0]] >= _LIKELY:
                names = (say_level(described, code) for code in (first, others[0]))
                said = said or " or ".join(names)
        yield said
