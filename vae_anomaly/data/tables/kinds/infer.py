"""Decide what one column is, from its type, its name and its values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, cast

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import Column, ColumnKind, Role, Stored
from vae_anomaly.data.tables.kinds.counts import ELAPSED_NOTE, count_note
from vae_anomaly.data.tables.kinds.timestamps import (
    number_times_note,
    parts_of,
    text_times_note,
    time_format_of,
)

MIN_ROWS_TO_JUDGE: Final = 20
MIN_SHARE_READABLE: Final = 0.99
MIN_VALUES_OF_ID: Final = 50
MANY_ROWS: Final = 1000
ID_NAME = re.compile(r"(?i:(^|[^a-z])(u|uu|gu)?id$)|[a-z]I[dD]$")
_NUMBER_NAME = re.compile(
    r"(?i:(number|nummer|_no|_nr|key|code|index|idx|hash|serial)$)|[a-z]N[or]$"
)


def infer_column(name: str, series: pd.Series, said: Column | None = None) -> Column:
    """Decide what one column is, not looking at the others.

    What a person has said of it stands: the kind, and whatever else is set in ``said``.
    """
    storage = cells.storage_of(series)
    texts = cells.text_counts(series) if storage == "text" else {}
    kind, note = _kind_of(name, series, storage, texts)
    if kind is ColumnKind.CATEGORICAL:
        note = f"{note} with {series.nunique()} values"
    if said is not None:
        kind, note = said.kind, said.note or "declared"
    stored = None if storage in {"nested", "empty"} else storage
    if storage == "text" and any(cells.is_number_text(text) for text in texts):
        stored = None  # "1" and "2" of another day may arrive as numbers
    column = Column(
        name=name,
        kind=kind,
        note=note,
        stored=cast(Stored | None, stored),
        role=said.role if said is not None else _role(note),
    )
    return _as_timestamp(column, series, texts, said) if kind is ColumnKind.TIMESTAMP else column


def _role(note: str) -> Role | None:
    return "clock" if note.startswith(ELAPSED_NOTE) else None


def _as_timestamp(
    column: Column, series: pd.Series, texts: Mapping[str, int], said: Column | None
) -> Column:
    """Say of a timestamp how it is read, and which of its parts are."""
    form = said.time_format if said is not None else None
    form = form or time_format_of(series, cells.storage_of(series), texts)
    parts, why = (said.parts, "") if said is not None else (None, "")
    if parts is None:
        parts, why = parts_of(cells.read_times(series, form)[0])
    return column.model_copy(
        update={
            "time_format": form,
            "parts": parts,
            "note": "; ".join(filter(None, [column.note, why])),
        }
    )


def _kind_of(
    name: str, series: pd.Series, storage: cells.Storage, texts: Mapping[str, int]
) -> tuple[ColumnKind, str]:
    """Apply the rules of the module's docstring to one column."""
    if storage == "nested":
        return ColumnKind.IGNORED, "nested or binary values"
    if storage == "empty" or (storage == "text" and not texts):
        return ColumnKind.IGNORED, "no value at all"
    if storage == "boolean":
        return ColumnKind.BOOLEAN, "truth values"
    if storage == "time":
        return ColumnKind.TIMESTAMP, "a date or time type"
    if texts and (times := text_times_note(name, texts)):
        return ColumnKind.TIMESTAMP, times
    if isinstance(series.dtype, pd.CategoricalDtype):
        return ColumnKind.CATEGORICAL, "a pandas category"
    if storage == "number":
        return _kind_of_number(name, series)
    return _kind_of_text(name, series, texts)


def _kind_of_number(name: str, series: pd.Series) -> tuple[ColumnKind, str]:
    """Tell truth values, identifiers and measurements apart."""
    values = cells.read_numbers(series)[0]
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if distinct.tolist() == [0.0, 1.0]:
        return ColumnKind.BOOLEAN, "only 0 and 1"
    if times := number_times_note(name, values):
        return ColumnKind.TIMESTAMP, times
    if count := count_note(name, values):
        return ColumnKind.IGNORED, count
    whole = bool(np.all(distinct == np.round(distinct)))
    reason = _identifier_reason(name, values, distinct.size) if whole else None
    if reason is not None:
        return ColumnKind.IDENTIFIER, reason
    if distinct.size == 1:
        return ColumnKind.NUMERIC, f"constant: always {distinct[0]:g}"
    return ColumnKind.NUMERIC, "numbers"


def _identifier_reason(name: str, values: Floats, distinct: int) -> str | None:
    """Say why whole numbers are names of things and not amounts; None if they are amounts."""
    n = values.size
    if n < MIN_ROWS_TO_JUDGE:
        return None
    if ID_NAME.search(name) and distinct > MIN_VALUES_OF_ID:
        return f"the name says identifier, {distinct} distinct values"
    if distinct < n:
        return None
    steps = np.diff(values)
    dense = np.ptp(values) < 2 * n
    ordered = bool(np.all(steps > 0) or np.all(steps < 0))
    named = _NUMBER_NAME.search(name) or ID_NAME.search(name)
    return (
        "whole numbers that never repeat" if dense or ordered or named or n >= MANY_ROWS else None
    )


def _kind_of_text(name: str, series: pd.Series, texts: Mapping[str, int]) -> tuple[ColumnKind, str]:
    """Tell truth words, dates, numbers, identifiers and categories apart."""
    n, distinct = sum(texts.values()), set(texts)
    words = {text.lower() for text in distinct}
    if len(words) == 2 and words & cells.TRUE_WORDS and words & cells.FALSE_WORDS:
        return ColumnKind.BOOLEAN, "only " + " and ".join(sorted(distinct)[:2])
    if _share(cells.is_number_text, texts) > MIN_SHARE_READABLE:
        return _kind_of_number(name, series)
    if n >= MIN_ROWS_TO_JUDGE and len(distinct) > n / 2:
        return ColumnKind.IDENTIFIER, f"near-unique text: {len(distinct)} distinct in {n} cells"
    if n >= MIN_ROWS_TO_JUDGE and ID_NAME.search(name) and len(distinct) > MIN_VALUES_OF_ID:
        return ColumnKind.IDENTIFIER, f"the name says identifier, {len(distinct)} distinct values"
    return ColumnKind.CATEGORICAL, "text"


def _share(test: Callable[[str], bool], texts: Mapping[str, int]) -> float:
    """Return the share of cells that pass a test; texts come with their counts."""
    return sum(count for text, count in texts.items() if test(text)) / sum(texts.values())
