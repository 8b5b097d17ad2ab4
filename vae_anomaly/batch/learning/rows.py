"""Learning from the rows of a table: their entities are cells, as the table was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vae_anomaly.batch.learning.judging import PartLearning, no_answers
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
    ) -> dict[str, Any]:
        """Judge and keep the scored rows of a piece; return their further columns of the part.

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
            return no_answers()
        if places.size < len(judged.places):
            examined = examined.take(np.flatnonzero(scored[judged.places]))
        rows = frame.iloc[places]
        keys = {name: read_keys(rows[name]).tolist() for name in self.columns}

        def named(column: str, place: int) -> str:
            return named_entity(column, keys[column][place], self._private)

        ids = [str(names[place]) for place in places.tolist()]
        return self.take(
            ids, examined, verdicts.score[scored], verdicts.p_value[scored], keys, named
        ).columns()
