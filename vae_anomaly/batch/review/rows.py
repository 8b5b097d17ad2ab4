"""What is kept of rows of a table: why each has its score, its cells, the past of its entities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from vae_anomaly.batch.review.store import ReviewKeeper
from vae_anomaly.detectors.judged import N_REASONS, JudgedRows
from vae_anomaly.reports.facts.items import ReviewItem, ShownContribution, ShownPast, ShownRow
from vae_anomaly.thresholds.record import score_in_words

if TYPE_CHECKING:
    from vae_anomaly.batch.histories import HistoryNight
    from vae_anomaly.detectors.protocol import TableDetector
    from vae_anomaly.detectors.tabular.reasons import ExplainedRow

CELL_CHARACTERS: Final = 200  # of a cell
MOST_PAST: Final = 20  # values of an entity


class RowReview:
    """Collects the rows of one table that reviewers will see.

    Parameters
    ----------
    file : str
        What the table is called.
    detector : TableDetector
    night : HistoryNight, optional
        Of a model with entities.
    id_column : str, optional
        That names the rows.
    """

    def __init__(
        self,
        file: str,
        detector: TableDetector,
        night: HistoryNight | None = None,
        id_column: str | None = None,
    ) -> None:
        self.keeper = ReviewKeeper()
        self._file, self._detector, self._night = file, detector, night
        schema = detector.schema_
        self._hidden = {id_column, schema.id_column} | {
            column.name
            for column in schema.columns
            if column.kind == "identifier" or column.role == "identifier"
        }

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
        kept = places[self.keeper.offer(names, scores, flags)]
        explained = judged.explained(kept.tolist(), N_REASONS)
        pasts = self._pasts(frame.iloc[kept])
        for place, past in zip(kept.tolist(), pasts, strict=True):
            name, why = str(ids[place]), explained[place]
            row = self._shown(frame.iloc[[place]], why, past)
            self.keeper.keep(name, self._item(judged, place, name, why, row))
        return explained

    def _item(
        self, judged: JudgedRows, place: int, name: str, why: ExplainedRow, row: ShownRow
    ) -> ReviewItem:
        verdicts, detector = judged.verdicts, self._detector
        score, p_value = float(verdicts.score[place]), float(verdicts.p_value[place])
        known = detector.probability_
        return ReviewItem(
            id=name,
            score=score,
            p_value=p_value,
            is_anomaly=bool(verdicts.is_anomaly[place]),
            roles=(),
            draw=0.0,
            words=score_in_words(score, p_value, detector.calibration_.n, "rows"),
            reasons=why.reasons,
            probability=None if known is None else float(known.predict([score])[0]),
            row=row,
        )

    def _shown(self, row: pd.DataFrame, why: ExplainedRow, past: tuple[ShownPast, ...]) -> ShownRow:
        shown = (name for name in row.columns if name not in self._hidden)
        return ShownRow(
            file=self._file,
            row=int(row.index[0]) + 1,
            explained=why.score,
            contributions=tuple(ShownContribution(**vars(part)) for part in why.parts),
            rest=why.rest,
            cells=tuple((str(name), written_cell(row[name].iloc[0])) for name in shown),
            past=past,
        )

    def _pasts(self, frame: pd.DataFrame) -> list[tuple[ShownPast, ...]]:
        """Return, row by row, the last amounts of its entities before it."""
        entities = self._detector.entities_
        if self._night is None or entities is None:
            return [()] * len(frame)
        columns = entities.columns
        amounts, before = columns.amounts(frame), self._night.amounts_before(frame, MOST_PAST)
        return [
            tuple(
                ShownPast(
                    entity=f"{entity} {written_cell(frame[entity].iloc[i])}",
                    column=columns.amount,
                    values=tuple(past.tolist()),
                    value=float(amounts[i]),
                )
                for entity, past in own.items()
                if np.isfinite(amounts[i])
            )
            for i, own in enumerate(before)
        ]


def written_cell(cell: object) -> str:
    """Write a cell as text of at most `CELL_CHARACTERS`; empty where there is nothing."""
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)):
        return ""
    text = f"{cell:.15g}" if isinstance(cell, float) else "" if cell is pd.NA else str(cell)
    return text if len(text) <= CELL_CHARACTERS else f"{text[: CELL_CHARACTERS - 1]}…"
