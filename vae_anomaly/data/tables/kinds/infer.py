"""Decide what one column is, from its type, its name and its values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
import pandas as pd

from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds.column import Column, ColumnKind, Part, Role, Stored
from vae_anomaly.data.tables.kinds.counts import ELAPSED_NOTE, count_note, digits_note
from vae_anomaly.data.tables.kinds.identifiers import (
    AMOUNTS_NOTE,
    ID_NAME,
    MANY_ROWS,
    MIN_ROWS_TO_JUDGE,
    MIN_VALUES_OF_ID,
    identifier_reason,
)
from vae_anomaly.data.tables.kinds.spans import period_doubt, span_doubt
from vae_anomaly.data.tables.kinds.timestamps import (
    calendar_doubt,
    number_times_note,
    parts_of,
    text_times,
    time_format_of,
    times_doubt,
)
from vae_anomaly.data.tables.kinds.writing import number_writing

_DAYS_LOOKED_AT: Final = 20_000
_QUESTIONS: Final = (span_doubt, period_doubt, times_doubt)


@dataclass(frozen=True)
class _Decision:
    """What a column is, and why."""

    kind: ColumnKind
    note: str
    form: cells.NumberFormat | None = None
    doubt: str = ""
    time_format: str | None = None


def infer_column(
    name: str, series: pd.Series, said: Column | None = None, missing: Collection[str] = ()
) -> Column:
    """Decide what one column is, not looking at the others.

    What a person has said of it stands: the kind, and whatever else is set in ``said``. Cells that
    hold a word of ``missing`` are missing.
    """
    words = tuple(dict.fromkeys([*(said.missing if said else ()), *missing]))
    series = cells.without_words(series, words)
    storage = cells.storage_of(series)
    texts = cells.text_counts(series) if storage == "text" else {}
    decided = _said(said, name, series) if said else _decide(name, series, storage, texts)
    if decided.kind is ColumnKind.CATEGORICAL and said is None:
        n = series.nunique()
        decided = replace(decided, note=f"{decided.note} with {n} value{'s' * (n != 1)}")
    stored = None if storage in {"nested", "empty"} else storage
    if storage == "text" and any(map(cells.is_number_text, texts)):
        stored = None  # "1" and "2" of another day may arrive as numbers
    column = Column(
        name=name,
        kind=decided.kind,
        note=decided.note,
        stored=cast(Stored | None, stored),
        number_format=None if decided.form is None else str(decided.form),
        missing=words,
        doubt=decided.doubt,
        role=said.role if said is not None else _role(decided.note),
    )
    is_time = column.kind is ColumnKind.TIMESTAMP
    if not is_time:
        return column
    form = said.time_format if said is not None else decided.time_format
    form = form or time_format_of(series, storage, texts)
    return _as_timestamp(column, series, form, said.parts if said is not None else None)


def _role(note: str) -> Role | None:
    return "clock" if note.startswith(ELAPSED_NOTE) else None


def _as_timestamp(
    column: Column, series: pd.Series, form: str | None, parts: tuple[Part, ...] | None
) -> Column:
    """Say of a timestamp how it is read, and which of its parts are."""
    why = ""
    if parts is None:
        parts, why = parts_of(cells.read_times(series, form)[0], form)
    return column.model_copy(
        update={
            "time_format": form,
            "parts": parts,
            "note": "; ".join(filter(None, [column.note, why])),
        }
    )


def _said(said: Column, name: str, series: pd.Series) -> _Decision:
    """Take a person's word; only how its numbers are written is asked of the cells."""
    form, doubt = said.numbers, said.doubt
    if said.kind is ColumnKind.NUMERIC:
        doubt = ""
        if form is None and cells.storage_of(series) == "text":
            form = number_writing(name, cells.written_counts(series)).form
    return _Decision(said.kind, said.note or "declared", form, doubt)


def _decide(
    name: str, series: pd.Series, storage: cells.Storage, texts: Mapping[str, int]
) -> _Decision:
    """Apply the rules of the module's docstring to one column."""
    if storage == "nested":
        return _Decision(ColumnKind.IGNORED, "nested or binary values")
    if storage == "empty" or (storage == "text" and not texts):
        return _Decision(ColumnKind.IGNORED, "no value at all")
    if storage == "boolean":
        return _Decision(ColumnKind.BOOLEAN, "truth values")
    if storage == "time":
        return _Decision(ColumnKind.TIMESTAMP, "a date or time type")
    if texts and (times := text_times(name, texts)):
        doubt = calendar_doubt(name, cells.some_of(texts), times[1])
        return _Decision(ColumnKind.TIMESTAMP, times[0], doubt=doubt, time_format=times[1])
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _Decision(ColumnKind.CATEGORICAL, "a pandas category")
    if storage == "number":
        return _kind_of_number(name, series)
    return _kind_of_text(name, series, texts)


def _kind_of_number(
    name: str, series: pd.Series, form: cells.NumberFormat | None = None
) -> _Decision:
    """Tell truth values, identifiers and measurements apart."""
    values = cells.read_numbers(series, form)[0]
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if distinct.tolist() == [0.0, 1.0] and form is None:
        return _Decision(ColumnKind.BOOLEAN, "only 0 and 1")
    if times := number_times_note(name, values):
        return _Decision(ColumnKind.TIMESTAMP, times)
    if count := count_note(name, values):
        return _Decision(ColumnKind.IGNORED, count)
    whole = bool(np.all(distinct == np.round(distinct)))
    if whole and (
        days := digits_note(name, [f"{value:.0f}" for value in distinct[:_DAYS_LOOKED_AT]])
    ):
        return _Decision(ColumnKind.IGNORED, days)
    reason = identifier_reason(name, values) if whole else None
    if reason is not None:
        return _Decision(ColumnKind.IDENTIFIER, reason, form)
    note = f"constant: always {distinct[0]:g}" if distinct.size == 1 else "numbers"
    if whole and distinct.size == values.size >= MANY_ROWS:
        note = AMOUNTS_NOTE
    if form is not None:
        note = f"{note}, written like {form}"
    return _Decision(ColumnKind.NUMERIC, note, form)


def _kind_of_text(name: str, series: pd.Series, texts: Mapping[str, int]) -> _Decision:
    """Tell truth words, dates, numbers, identifiers and categories apart."""
    distinct = set(texts)
    if cells.are_truth_words({text.lower() for text in distinct}):
        return _Decision(ColumnKind.BOOLEAN, f"only {' and '.join(sorted(distinct)[:2])}")
    writing = number_writing(name, cells.written_counts(series))
    if not writing.is_read and (days := digits_note(name, [*cells.some_of(texts)])):
        return _Decision(ColumnKind.IGNORED, days)
    if writing.is_read:
        return replace(_kind_of_number(name, series, writing.form), doubt=writing.doubt)
    some = cells.some_of(texts)
    doubt = next(filter(None, [writing.doubt, *(ask(name, some) for ask in _QUESTIONS)]), "")
    return _Decision(*_kind_of_words(name, texts), doubt=doubt)


def _kind_of_words(name: str, texts: Mapping[str, int]) -> tuple[ColumnKind, str]:
    """Tell names of single things from those of groups."""
    n, distinct = sum(texts.values()), len(texts)
    if n >= MIN_ROWS_TO_JUDGE and distinct > n / 2:
        return ColumnKind.IDENTIFIER, f"near-unique text: {distinct} distinct in {n} cells"
    if n >= MIN_ROWS_TO_JUDGE and ID_NAME.search(name) and distinct > MIN_VALUES_OF_ID:
        return ColumnKind.IDENTIFIER, f"the name says identifier, {distinct} distinct values"
    return ColumnKind.CATEGORICAL, "text"
