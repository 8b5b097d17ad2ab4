"""Learning from the rows of a table: their entities are cells, as the table was read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vae_anomaly.batch.learning.judging import NO_ANSWERS, LearnedAnswers, PartLearning
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.plan import ScoringModel
from vae_anomaly.batch.review.rows import named_entity, private_columns
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.detectors.judged import JudgedRows

if TYPE_CHECKING:
    from vae_anomaly.detectors.protocol import TableDetector


class RowLearning(PartLearning):
    """Judges the rows of one table by what was learned, and keeps what is learned from them."""

    def __init__(self, options: LearnOptions, model: ScoringModel, detector: TableDetector) -> None:
        super().__init__(options, model, detector)
        self._private = private_columns(detector.schema_)

    def take_rows(
        self, judged: JudgedRows, names: Sequence[str | None], frame: pd.DataFrame
    ) -> LearnedAnswers:
        """Judge and keep the scored rows of a piece.

        Parameters
        ----------
        judged : JudgedRows
            Of N rows.
        names : sequence of N str or None
            Their ids.
        frame : DataFrame of N rows
            As they were read.
        """
        verdicts, examined = judged.verdicts, judged.examination
        scored = verdicts.is_scored
        places = np.flatnonzero(scored)
        if examined is None or not places.size:
            return NO_ANSWERS
        if places.size < len(judged.places):
            examined = examined.take(np.flatnonzero(scored[judged.places]))
        rows = frame.iloc[places]
        keys = {name: _keys_of(rows[name]) for name in self.columns}

        def named(column: str, place: int) -> str:
            return named_entity(column, keys[column][place], self._private)

        ids = [names[place] or "" for place in places.tolist()]
        answers, items = self.judge(
            ids, examined, verdicts.score[scored], verdicts.p_value[scored], keys, named
        )
        self.keep(items)
        return answers


def flagged_by(learned: LearnedAnswers, judged: JudgedRows) -> JudgedRows:
    """Return judged rows as what was learned flags them, where that has a threshold."""
    if learned.is_anomaly is None:
        return judged
    flags = judged.verdicts.is_anomaly.copy()
    flags[judged.verdicts.is_scored] = learned.is_anomaly
    return replace(judged, verdicts=replace(judged.verdicts, is_anomaly=flags))


def _keys_of(cells: pd.Series) -> list[str | None]:
    """Return the key of each cell; where cells have one type, of each value once."""
    if cells.dtype == object:
        return list(read_keys(cells))  # 1, 1.0 and True are three keys
    places, values = pd.factorize(cells)
    keys = [*read_keys(pd.Series(values)), None]  # -1 is a cell without a value
    return [keys[place] for place in places.tolist()]
