"""What is kept of rows of a table: why each has its score, its cells, the past of its entities."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.batch.review.shown import shown_item
from vae_anomaly.batch.review.store import ReviewKeeper
from vae_anomaly.detectors.judged import N_REASONS, JudgedRows
from vae_anomaly.detectors.tabular.reasons.entities import this_one
from vae_anomaly.reports.facts.items import ReviewItem, ShownContribution, ShownPast, ShownRow

if TYPE_CHECKING:
    from vae_anomaly.data.tables.schema import Schema
    from vae_anomaly.detectors.protocol import TableDetector
    from vae_anomaly.detectors.tabular.reasons import ExplainedRow

CELL_CHARACTERS: Final = 200  # of a cell
MOST_PAST: Final = 20  # values of an entity
_PRIVATE: Final = ("person", "place", "identifier")  # roles whose cells are shown to nobody


class Pasts(Protocol):
    """What knows the past of entities: a night, or histories that have taken its rows."""

    def amounts_before(self, frame: pd.DataFrame, most: int) -> list[dict[str, Floats]]:
        """Return, row by row, the last amounts of its entities before it, the oldest first."""


class RowReview:
    """Collects the rows of one table that reviewers will see.

    Parameters
    ----------
    file : str
        What the table is called.
    detector : TableDetector
    pasts : Pasts, optional
        Of a model with entities.
    id_column : str, optional
        That names the rows.
    """

    def __init__(
        self,
        file: str,
        detector: TableDetector,
        pasts: Pasts | None = None,
        id_column: str | None = None,
    ) -> None:
        self.keeper = ReviewKeeper()
        self._file, self._detector, self._pasts = file, detector, pasts
        schema = detector.schema_
        private = private_columns(schema)
        keys = {column.name for column in schema.columns if column.kind == "identifier"}
        known = {column.name for column in schema.columns}  # of others nobody knows whom they tell
        self._private, self._cells = private, known - private - keys - {id_column, schema.id_column}

    def take(
        self, judged: JudgedRows, ids: Sequence[str | None], frame: pd.DataFrame
    ) -> dict[int, ExplainedRow]:
        """Keep what will be shown of a piece, and return it explained, by place in the piece.

        Parameters
        ----------
        judged : JudgedRows
            Of N rows.
        ids : sequence of N str or None
        frame : DataFrame of N rows
            As they were read; the index counts the rows of the table from 0.
        """
        verdicts = judged.verdicts
        places = np.flatnonzero(verdicts.is_scored)
        names = [str(ids[place]) for place in places.tolist()]
        scores, flags = verdicts.score[places], verdicts.is_anomaly[places]
        kept = places[self.keeper.offer(names, scores, flags)].tolist()
        explained = judged.explained(kept, N_REASONS)
        for item in self.items(judged, explained, ids, frame):
            self.keeper.keep(item.id, item)
        return explained

    def items(
        self,
        judged: JudgedRows,
        explained: Mapping[int, ExplainedRow],
        ids: Sequence[str | None],
        frame: pd.DataFrame,
    ) -> Iterator[ReviewItem]:
        """Yield the rows of a piece that were explained, as they are shown."""
        places, verdicts = list(explained), judged.verdicts
        rows, whys = frame.iloc[places], [explained[place] for place in places]
        shown = shown_rows(rows, whys, self._file, self._cells)
        for place, row, past in zip(places, shown, self._past(rows), strict=True):
            score, p_value = float(verdicts.score[place]), float(verdicts.p_value[place])
            flag, why = bool(verdicts.is_anomaly[place]), explained[place]
            item = shown_item(self._detector, str(ids[place]), score, p_value, is_anomaly=flag)
            yield replace(item, reasons=why.reasons, row=replace(row, past=past))

    def _past(self, frame: pd.DataFrame) -> list[tuple[ShownPast, ...]]:
        """Return, row by row, the last amounts of its entities before it."""
        entities = self._detector.entities_
        if self._pasts is None or entities is None:
            return [()] * len(frame)
        columns = entities.columns
        amounts, before = columns.amounts(frame), self._pasts.amounts_before(frame, MOST_PAST)
        return [
            tuple(
                ShownPast(
                    entity=named_entity(entity, frame[entity].iloc[i], self._private),
                    column=columns.amount,
                    values=tuple(past.tolist()),
                    value=float(amounts[i]),
                )
                for entity, past in own.items()
                if np.isfinite(amounts[i])
            )
            for i, own in enumerate(before)
        ]


def private_columns(schema: Schema) -> set[str]:
    """Return the columns whose cells are shown to nobody: they tell of persons and places."""
    return {column.name for column in schema.columns if column.role in _PRIVATE}


def named_entity(column: str, key: object, private: Container[str]) -> str:
    """Name an entity by its key, or, where that is a person's, as reasons do."""
    return this_one(column) if column in private else f"{column} {written_cell(key)}"


def shown_row(
    row: pd.DataFrame, why: ExplainedRow, file: str = "", cells: Collection[str] | None = None
) -> ShownRow:
    """Return a row as pages show it.

    Parameters
    ----------
    row : DataFrame of one row
        The index counts the rows of its table from 0.
    why : ExplainedRow
    file : str
        What the table is called.
    cells : collection of str, optional
        Columns whose cells are shown. Default: all.
    """
    return shown_rows(row, [why], file, cells)[0]


def shown_rows(
    rows: pd.DataFrame,
    whys: Sequence[ExplainedRow],
    file: str = "",
    cells: Collection[str] | None = None,
) -> list[ShownRow]:
    """Return N rows as `shown_row` would; a column is taken from the frame once."""
    columns = [
        [(str(name), written_cell(cell)) for cell in rows[name].array]
        for name in rows.columns
        if cells is None or name in cells
    ]
    return [
        ShownRow(
            file=file,
            row=int(row) + 1,
            explained=why.score,
            contributions=tuple(ShownContribution(**vars(part)) for part in why.parts),
            rest=why.rest,
            cells=tuple(column[i] for column in columns),
        )
        for i, (row, why) in enumerate(zip(rows.index, whys, strict=True))
    ]


def written_cell(cell: object) -> str:
    """Write a cell as text of at most `CELL_CHARACTERS`; empty where there is nothing."""
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    text = f"{cell:.15g}" if isinstance(cell, float) else "" if cell is pd.NA else str(cell)
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"
