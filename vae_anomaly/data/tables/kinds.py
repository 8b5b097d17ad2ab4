"""What a column can be to a model, and how that is decided from its type and values.

The first rule that fits decides; `Column.note` says which and why:

1. *ignored*: no value at all; nested values (lists, bytes).
2. *boolean*: truth values; the numbers 0 and 1; the two words of true/false, yes/no, t/f or y/n.
3. *timestamp*: a date or time type; text of which more than 99 % is a date with four-digit year.
   Slashed dates are read day first if any first part exceeds 12, else month first.
4. *ignored*: a number that only ever rises or falls with a timestamp column (elapsed seconds, a
   counter): tomorrow's value is out of range whatever happens.
5. *identifier*: text with more distinct values than half the rows; whole numbers that never repeat
   and are dense, sorted, many, or named like a number that is given out; a name that ends in "id"
   with more than 50 values. Judged from 20 rows on. Never a feature: it cannot be seen again.
6. *numeric*: number types; text of which more than 99 % are numbers, "007" not being one.
7. *categorical*: all other text, and what pandas holds as a category.

Whole numbers with few values stay numeric: declare them categorical where they are codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, Literal, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from vae_anomaly.arrays import Floats, Times
from vae_anomaly.data.tables import cells

MIN_ROWS_TO_JUDGE: Final = 20
MIN_SHARE_READABLE: Final = 0.99
MIN_VALUES_OF_ID: Final = 50
MANY_ROWS: Final = 1000
ID_NAME = re.compile(r"(?i:(^|[^a-z])(u|uu|gu)?id$)|[a-z]I[dD]$")
_NUMBER_NAME = re.compile(
    r"(?i:(number|nummer|_no|_nr|key|code|index|idx|hash|serial)$)|[a-z]N[or]$"
)

Stored = Literal["number", "boolean", "time", "text"]


class ColumnKind(StrEnum):
    """What a column is to a model."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"
    IDENTIFIER = "identifier"
    IGNORED = "ignored"


FEATURE_KINDS: Final = frozenset(
    {ColumnKind.NUMERIC, ColumnKind.CATEGORICAL, ColumnKind.BOOLEAN, ColumnKind.TIMESTAMP}
)


class Column(BaseModel):
    """One column: its name, its kind, and why it has that kind.

    Parameters
    ----------
    note : str
        Why, in words; free text.
    stored : str, optional
        How the training data held it: "number", "boolean", "time", "text"; None does not matter.
    time_format : str, optional
        How text dates or numbers since 1970 are read; see
        `vae_anomaly.data.tables.cells.read_times`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: ColumnKind
    note: str = ""
    stored: Stored | None = None
    time_format: cells.TimeFormat | None = None


def infer_column(name: str, series: pd.Series, declared: ColumnKind | None) -> Column:
    """Decide what one column is, not looking at the others."""
    storage = cells.storage_of(series)
    texts = cells.text_counts(series) if storage == "text" else {}
    kind, note = _kind_of(name, series, storage, texts)
    if kind is ColumnKind.CATEGORICAL:
        note = f"{note} with {series.nunique()} values"
    if declared is not None:
        kind, note = declared, "declared"
    time_format = _time_format(series, storage, texts) if kind is ColumnKind.TIMESTAMP else None
    stored = None if storage in {"nested", "empty"} else storage
    if storage == "text" and any(cells.is_number_text(text) for text in texts):
        stored = None  # "1" and "2" of another day may arrive as numbers
    return Column(
        name=name,
        kind=kind,
        note=note,
        stored=cast(Stored | None, stored),
        time_format=time_format,
    )


def _time_format(
    series: pd.Series, storage: cells.Storage, texts: Mapping[str, int]
) -> cells.TimeFormat | None:
    """Tell how a timestamp column that is not stored as times is to be read."""
    if storage == "text":
        return cells.time_format_of(texts)
    return cells.epoch_unit_of(cells.read_numbers(series)[0]) if storage == "number" else None


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
    if _share(cells.is_time_text, texts) > MIN_SHARE_READABLE:
        return ColumnKind.TIMESTAMP, f"text dates, {cells.time_format_of(texts).replace('_', ' ')}"
    if _share(cells.is_number_text, texts) > MIN_SHARE_READABLE:
        return _kind_of_number(name, series)
    if n >= MIN_ROWS_TO_JUDGE and len(distinct) > n / 2:
        return ColumnKind.IDENTIFIER, f"near-unique text: {len(distinct)} distinct in {n} cells"
    if n >= MIN_ROWS_TO_JUDGE and ID_NAME.search(name) and len(distinct) > MIN_VALUES_OF_ID:
        return ColumnKind.IDENTIFIER, f"the name says identifier, {len(distinct)} distinct values"
    return ColumnKind.CATEGORICAL, "text"


def elapsed_columns(
    columns: Mapping[str, Column],
    series: Mapping[str, pd.Series],
    declared: Mapping[str, ColumnKind],
) -> dict[str, Column]:
    """Return, as ignored, the numeric columns that only tell the time again."""
    clocks = {
        name: cells.read_times(series[name], column.time_format)[0]
        for name, column in columns.items()
        if column.kind is ColumnKind.TIMESTAMP
    }
    out = {}
    for name, column in columns.items():
        if column.kind is not ColumnKind.NUMERIC or name in declared:
            continue
        values = cells.read_numbers(series[name])[0]
        clock = next((c for c, times in clocks.items() if _follows(values, times)), None)
        if clock is not None:
            note = f"only rises or falls with {clock!r}: tomorrow's value is always out of range"
            out[name] = column.model_copy(update={"kind": ColumnKind.IGNORED, "note": note})
    return out


def _follows(values: Floats, times: Times) -> bool:
    """Tell whether values are a monotone function of time, but for one step in a thousand."""
    present = ~np.isnan(values) & ~np.isnat(times)
    values, times = values[present], times[present]
    if values.size < MIN_ROWS_TO_JUDGE or np.unique(values).size < 3:
        return False
    steps = np.diff(values[np.lexsort((values, times))])
    rising, falling = int(np.sum(steps > 0)), int(np.sum(steps < 0))
    if rising > falling:
        return falling <= 1e-3 * rising
    steps = np.diff(values[np.lexsort((-values, times))])
    return int(np.sum(steps > 0)) <= 1e-3 * int(np.sum(steps < 0))


def _share(test: Callable[[str], bool], texts: Mapping[str, int]) -> float:
    """Return the share of cells that pass a test; texts come with their counts."""
    return sum(count for text, count in texts.items() if test(text)) / sum(texts.values())
