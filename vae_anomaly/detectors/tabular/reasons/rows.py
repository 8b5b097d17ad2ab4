"""Say why rows are strange: the columns that add most to the score, where a reason can be named.

Columns are asked in the order of what they add. What is strange by itself is said first (`lone`,
`entities`); else what is strange beside one other column (`pairs`, `spans`), and only where nothing
was found so far, beside all others (`expected`). A column of which nothing can be said is no
reason. A flagged row of which nothing can be said is an unusual combination of the columns that add
most.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.detectors.tabular.encode.columns import NumericColumn
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.explain import contributions
from vae_anomaly.detectors.tabular.reasons.entities import entity_columns
from vae_anomaly.detectors.tabular.reasons.expected import strange_beside_all
from vae_anomaly.detectors.tabular.reasons.lone import Found, name_cell, strange_cell
from vae_anomaly.detectors.tabular.reasons.pairs import strange_beside
from vae_anomaly.detectors.tabular.reasons.parts import ColumnPart, ShownColumns
from vae_anomaly.detectors.tabular.reasons.spans import strange_span
from vae_anomaly.detectors.tabular.reasons.wording import MOST_CHARACTERS, fitted, listed
from vae_anomaly.detectors.tabular.remembered import RememberedCells

_BLOCK = 1_024  # rows that are compared with normal rows at a time
_ORDINARY = 0.5  # of an equal share of the score: a column that adds less is no reason
_ASKED = 10  # columns of a row that may be strange by themselves
_COMBINED = 3  # columns of an unusual combination


def reasons(examination: TableExamination, flagged: Bools, top: int = 3) -> list[list[str]]:
    """Return the reasons of each row, at most ``top``, the column that adds most first.

    Of the rows that are ``flagged``, shape (N,), there is at least one.
    """
    return [
        texts
        for rows in _blocks(len(examination))
        for texts in _Inquiry(examination.take(rows), top).reasons(flagged[rows])
    ]


@dataclass(frozen=True)
class ExplainedRow:
    """Why a row has its score: in words, and by what its columns add to it.

    Parameters
    ----------
    reasons : tuple of str
        As `reasons` gives them.
    score : float, nats
        The raw score, to which parts and rest sum.
    parts : tuple of ColumnPart
        Of the columns that add most, the largest first, whatever their sign.
    rest : float, nats
        What all other columns add.
    """

    reasons: tuple[str, ...]
    score: float
    parts: tuple[ColumnPart, ...]
    rest: float


def explained(
    examination: TableExamination, flagged: Bools, top: int = 3, columns: int = 8
) -> list[ExplainedRow]:
    """Return reasons and contributions of each row, which are computed once.

    Parameters
    ----------
    examination : TableExamination
        Of N rows.
    flagged : ndarray of shape (N,), bool
        These have at least one reason.
    top, columns : int
        Most reasons, and most columns, of a row.
    """
    return [
        one
        for rows in _blocks(len(examination))
        for one in _Inquiry(examination.take(rows), top).explained(flagged[rows], columns)
    ]


def _blocks(n: int) -> Iterator[Ints]:
    for start in range(0, n, _BLOCK):
        yield np.arange(start, min(start + _BLOCK, n))


class _Inquiry:
    """What is found about each row of a block, column by column."""

    def __init__(self, examination: TableExamination, top: int) -> None:
        self.frame, self.top = examination.frame, top
        self.encoder = examination.model.encoder
        self.entities = entity_columns(examination.model.entities)
        self.cells = RememberedCells(examination)
        self.parts = contributions(examination)
        self.order, self.asked = _columns_by_share(self.parts)
        self._columns: dict[str, pd.api.extensions.ExtensionArray] = {}
        self.found: list[dict[Hashable, tuple[int, str]]] = [{} for _ in self.asked]
        self._ask_for_gaps()

    def _ask_for_gaps(self) -> None:
        """Ask for empty cells as well: filled in, they add nothing, and may be strange for all."""
        for column, described in enumerate(self.encoder.columns):
            if described.name in self.entities or described.name not in self.frame:
                continue
            for row in np.flatnonzero(self.frame[described.name].isna()).tolist():
                if column not in self.asked[row]:
                    self.asked[row].append(column)

    def reasons(self, flagged: Bools) -> list[list[str]]:
        """Ask until there is enough to say of each row."""
        for row in range(len(self.found)):
            self._ask_alone(row)
        self._ask_beside(self._one_other, self.top)
        self._ask_beside(self._all_others, 1)
        return [
            self._said(row) or ([self._combination(row)] if is_flagged and self.top else [])
            for row, is_flagged in enumerate(flagged)
        ]

    def explained(self, flagged: Bools, columns: int) -> list[ExplainedRow]:
        """Add what the columns add to what is said."""
        every = np.arange(len(flagged))
        shown = ShownColumns(self.cells).of(every, self.parts, columns)
        scores = self.cells.examination.raw_score.tolist()
        return [
            ExplainedRow(tuple(texts), score, one.parts, one.rest)
            for texts, score, one in zip(self.reasons(flagged), scores, shown, strict=True)
        ]

    def _said(self, row: int) -> list[str]:
        return [fitted(text) for _, text in sorted(self.found[row].values())[: self.top]]

    def _ask_alone(self, row: int) -> None:
        """Note the columns that are strange by themselves, until they are enough."""
        for column in self.asked[row][:_ASKED]:
            if len(self.found[row]) >= self.top:
                return
            self._note(row, column, self._alone(row, column))

    def _alone(self, row: int, column: int) -> Found | None:
        described = self.encoder.columns[column]
        entity = self.entities.get(described.name)
        if entity is None:
            text = strange_cell(described, self._cell(row, described.name))
            return None if text is None else (column, text)
        assert isinstance(described, NumericColumn)  # noqa: S101 - histories make numbers
        text = entity.strange(described, self.frame.iloc[row])
        return None if text is None else (entity.subject, text)

    def _ask_beside(self, ask: Callable[[int, Ints], list[Found | None]], enough: int) -> None:
        """Ask for the first columns of each row of which less than enough was found."""
        pending: dict[int, list[int]] = {}
        for row, columns in enumerate(self.asked):
            for column in columns[: self.top] if len(self.found[row]) < enough else []:
                if column not in self.found[row] and not self._is_of_entity(column):
                    pending.setdefault(column, []).append(row)
        for column, rows in pending.items():
            for row, found in zip(rows, ask(column, np.array(rows)), strict=True):
                self._note(row, column, found)

    def _is_of_entity(self, column: int) -> bool:
        return self.encoder.columns[column].name in self.entities

    def _one_other(self, column: int, rows: Ints) -> list[Found | None]:
        if isinstance(self.encoder.columns[column], TimestampColumn):
            return strange_span(self.cells, column, rows)
        return strange_beside(self.cells, column, rows)

    def _all_others(self, column: int, rows: Ints) -> list[Found | None]:
        texts = strange_beside_all(self.cells, column, rows)
        return [None if text is None else (column, text) for text in texts]

    def _note(self, row: int, column: int, found: Found | None) -> None:
        if found is not None:
            subject, text = found
            self.found[row].setdefault(subject, (self.asked[row].index(column), text))

    def _combination(self, row: int) -> str:
        """Name the columns that add most, of which none is strange by itself."""
        names = list(dict.fromkeys(self._named(row, column) for column in self.order[row]))
        if len(names) == 1:
            return f"{names[0]}, unlike the training rows"
        return next(
            text
            for n in range(min(_COMBINED, len(names)), 0, -1)
            if len(text := f"an unusual combination of {listed(names[:n])}") <= MOST_CHARACTERS
            or n <= 2
        )

    def _named(self, row: int, column: int) -> str:
        described = self.encoder.columns[column]
        entity = self.entities.get(described.name)
        if entity is not None:
            return entity.name
        return name_cell(described, self._cell(row, described.name))

    def _cell(self, row: int, name: str) -> object:
        """Return one cell; a column is taken from the frame once, which is slow."""
        if name not in self._columns:
            self._columns[name] = self.frame[name].array
        return self._columns[name][row]


def _columns_by_share(parts: Floats) -> tuple[list[list[int]], list[list[int]]]:
    """Return the columns of each row, the one that adds most first: all, and those to ask."""
    order = np.argsort(-parts, axis=1, kind="stable")
    most = np.take_along_axis(parts, order, axis=1)
    equal = np.maximum(parts, 0.0).mean(axis=1, keepdims=True)
    asked = (most > 0.0) & (most >= _ORDINARY * equal)
    return order.tolist(), [
        columns[keep].tolist() for columns, keep in zip(order, asked, strict=True)
    ]
