"""Give rows the features of their entities' past, for a look at them beside the nightly scoring."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from vae_anomaly.batch.histories import (
    HistoryFile,
    given_files,
    latest_before,
    load_state,
    refuse_state,
)
from vae_anomaly.data.tables.entity_histories import EntityHistories, time_text
from vae_anomaly.errors import DataError

DAY_NS = 86_400_000_000_000
logger = logging.getLogger(__name__)


def with_past(
    entities: EntityHistories | None, frame: pd.DataFrame, state: str | Path | None = None
) -> pd.DataFrame:
    """Return rows with the features that are relative to their entities' past.

    Parameters
    ----------
    entities : EntityHistories or None
        The model's own; without entities, the rows are returned as they are.
    frame : DataFrame
        All rows of the time that is looked at, in any order; nothing of them is remembered.
    state : path, optional
        Output folder of `score_tables`, or a file of its ``state``; by default the model's own
        state, at the end of its training. Of several, the latest that ends before the rows do.

    Raises
    ------
    DataError
        If every state reaches beyond the rows.
    ConfigError
        If a state is given and the model has no entities.
    """
    if entities is None:
        if state is not None:
            refuse_state(state)
        return frame
    entities.columns.check(frame)
    span = entities.span(frame)
    if span is None:
        return pd.DataFrame(entities.blank(frame))
    start = _start(entities, span, state)
    return pd.DataFrame(load_state(start, entities).extend(frame))


def _start(
    entities: EntityHistories, span: tuple[int, int], state: str | Path | None
) -> HistoryFile:
    states = given_files(entities, state)
    found = latest_before(span[1], states)
    if found is None:
        raise DataError(
            f"The rows end at {time_text(span[1])}, but the histories that they would be compared "
            f"with already reach {time_text(min(s.until for s in states))}. Give newer rows, or "
            "with --state an older state."
        )
    gap = (span[0] - found.until) / DAY_NS
    if gap > 1.0:
        logger.warning(
            "the histories end at %s, %.1f days before the rows: give the nights between as well, "
            "or with --state the output folder of the nightly scoring",
            time_text(found.until), gap,
        )  # fmt: skip
    return found
