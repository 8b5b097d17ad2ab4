"""Cells that lost on their way what the model was trained on: refused, row by row, never guessed.

JSON has no times, CSV no types, and what stands between (pandas, NumPy, Spark) decides types by
the other cells of the request. What follows from that for one cell must not depend on the others:

============  ====================================================================================
column        refused is
============  ====================================================================================
any           a list, a mapping, bytes
numeric       text that may be a number of JSON, where training wrote its numbers otherwise: in
              "1.234,5" the text 1.234 is 1234
timestamp     a number, unless training had numbers: `pandas.to_json` writes milliseconds, others
              seconds; a number that is seconds where training had milliseconds; a time of
              Spark without its zone
categorical   a number where training had text, where the model knows it with zeros in front (a
              CSV's 007 arrives as 7), or where it is too long for a float; an empty cell where
              the model knows "NA" or the like (which a CSV's reader takes for empty)
============  ====================================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.scoring.judging import Fault
from vae_anomaly.tracking.network.requests import TextOrNumber

EMPTY_IN_A_CSV: Final = frozenset(
    {
        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""Words that ``pandas.read_csv``, by which MLflow reads a CSV, takes for an empty cell."""

_LARGEST_EXACT: Final = 2**53  # beyond it a float has lost digits of a whole number
_LEAST: Final = {"epoch_ms": 1e11, "epoch_us": 1e14, "epoch_ns": 1e17}
"""Below it `cells.epoch_unit_of` takes a number for one of a longer unit."""

_SESSION_ZONE: Final = "spark.sql.session.timeZone"
_UTC_NAMES: Final = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Z", "+00:00", "Zulu", "UCT"})

_NO_UNIT: Final = (
    "is a number, and its unit is not known. Write 2026-01-31T12:00:00Z, "
    'in pandas to_json(date_format="iso")'
)
_OTHER_UNIT: Final = "would be in 1970 in the model's unit. Send that unit, or 2026-01-31T12:00:00Z"
_NO_ZONE: Final = (
    "is a time of Spark, which has lost its zone. Set spark.sql.session.timeZone to UTC, or write "
    "it as text with date_format(..., \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX\")"
)


def served_rows(
    frame: pd.DataFrame, schema: Schema, known: Mapping[str, Collection[str]]
) -> tuple[pd.DataFrame, list[Fault | None]]:
    """Return the columns that a model reads, and what is wrong with each of N rows.

    Parameters
    ----------
    frame : DataFrame of N rows
        With the model's columns.
    schema : Schema
    known : mapping of str to collection of str
        The values of each categorical column that training had.

    Returns
    -------
    rows : DataFrame of N rows, index kept
        Refused cells are missing; each other cell reads the same whatever stands beside it.
    faults : list of N Fault or None
    """
    faults: list[Fault | None] = [None] * len(frame)
    columns = {}
    for column in schema.features:
        series = _undo_categories(frame[column.name])
        told = cells.without_words(series, column.missing)
        empty = np.asarray(told.isna() & series.notna())
        wrong = dict(_wrong_cells(column, series, known.get(column.name, ())))
        wrong = {row: fault for row, fault in wrong.items() if not empty[row]}
        for row, fault in wrong.items():
            faults[row] = faults[row] or fault
        columns[column.name] = _alike(column, _without(told, list(wrong)))
    return pd.DataFrame(columns, index=frame.index), faults


def _wrong_cells(
    column: Column, series: pd.Series, known: Collection[str]
) -> Iterator[tuple[int, Fault]]:
    """Name the cells of one column that are refused, by their row."""
    for row in np.flatnonzero(_nested(series)).tolist():
        yield row, _fault("nested_value", column, series.iloc[row], "is not one value")
    if column.kind is ColumnKind.NUMERIC and column.number_format is not None:
        yield from _wrong_numbers(column, series)
    if column.kind is ColumnKind.TIMESTAMP:
        yield from _wrong_times(column, series)
    if column.kind is ColumnKind.CATEGORICAL:
        yield from _wrong_categories(column, series, known)


def _wrong_numbers(column: Column, series: pd.Series) -> Iterator[tuple[int, Fault]]:
    where = np.flatnonzero(_marked(series))
    texts = series.iloc[where]
    differ = cells.read_numbers(texts)[0] != column.numbers_in(texts)
    for row in where[differ & (texts != "nan").to_numpy()].tolist():
        trouble = f"may be a number or text ({column.number_format}). Send dataframe_records"
        yield row, _fault("number_or_text", column, series.iloc[row], trouble)


def _wrong_times(column: Column, series: pd.Series) -> Iterator[tuple[int, Fault]]:
    form = column.time_format or "iso"
    wrong, code, trouble = _of_a_longer_unit(series, form), "another_unit", _OTHER_UNIT
    if not cells.is_of_numbers(form):
        wrong, code, trouble = _numbers(series), "not_a_time", _NO_UNIT
    for row in np.flatnonzero(wrong).tolist():
        yield row, _fault(code, column, series.iloc[row], trouble)
    for row in np.flatnonzero(_without_zone(series)).tolist() if _spark_hides_the_zone() else []:
        yield row, _fault("unknown_zone", column, series.iloc[row], _NO_ZONE)


def _wrong_categories(
    column: Column, series: pd.Series, known: Collection[str]
) -> Iterator[tuple[int, Fault]]:
    where = np.flatnonzero(_numbers(series) | _times(series) | _marked(series))
    places, values = pd.factorize(pd.Series(series.iloc[where].tolist(), dtype=object))
    troubles = [_lost_of_number(column, value, known) for value in values]
    for row, place in zip(where.tolist(), places.tolist(), strict=True):
        if (trouble := troubles[place]) is not None:
            yield row, _fault("not_text", column, series.iloc[row], trouble)
    word = next(iter(sorted(EMPTY_IN_A_CSV.intersection(known))), None)
    for row in np.flatnonzero(_perhaps_a_word(series)).tolist() if word else []:
        trouble = f"may have been {word!r} in a CSV. Send JSON with that word or an empty text"
        yield row, _fault("empty_or_text", column, "", trouble)


def _lost_of_number(column: Column, cell: object, known: Collection[str]) -> str | None:
    """Say what a number in the place of a category may have lost; None if nothing."""
    if cell == "nan":
        return "may be a NaN. Write null if it is one, and text in dataframe_records"
    if column.stored == "text":
        return "is no text, as training had. Write it as text in dataframe_records"
    if isinstance(cell, float | np.floating) and abs(float(cell)) > _LARGEST_EXACT:
        return "is a number that has lost digits. Write it as text"
    text = cells.read_text(pd.Series([cell]))[0]
    padded = [value for value in known if value != text and (value.lstrip("0") or "0") == text]
    return f"is a number, and the model knows {padded[0]!r}. Write it as text" if padded else None


def _fault(code: str, column: Column, cell: object, trouble: str) -> Fault:
    return Fault(code, f"column {column.name!r}: {str(cell)[:60]!r} {trouble}")


def _alike(column: Column, series: pd.Series) -> pd.Series:
    """Give cells of several types the one by which each reads as it would alone."""
    if series.dtype != object and not isinstance(series.dtype, pd.StringDtype):
        return series
    if column.kind is ColumnKind.TIMESTAMP and cells.is_of_numbers(column.time_format):
        return _as_times(series, column)
    if column.kind is ColumnKind.BOOLEAN and column.stored == "number":
        return _as_numbers(series)
    return series


def _as_times(series: pd.Series, column: Column) -> pd.Series:
    """Turn numbers, and text that is one, to times, so that dates may stand beside them."""
    numbers, unread = cells.read_numbers(series)
    where = cells.are_fine(unread) & ~np.isnan(numbers)
    times, codes = cells.read_times(pd.Series(numbers), column.time_format)
    read = where & cells.are_fine(codes)
    out = series.astype(object)
    out[read] = pd.Series(times[read], dtype="datetime64[ns]").astype(object).tolist()
    return out


def _as_numbers(series: pd.Series) -> pd.Series:
    """Turn truth values and their words to numbers, so that other numbers may stand beside them."""
    values, codes = cells.read_booleans(series)
    fine = cells.are_fine(codes) & ~np.isnan(values)
    out = series.astype(object)
    out[fine] = values[fine]
    return out.infer_objects()


def _without(series: pd.Series, places: list[int]) -> pd.Series:
    """Make some cells missing."""
    if not places:
        return series
    out = series.astype(object)
    out.iloc[places] = None
    return out


def _undo_categories(series: pd.Series) -> pd.Series:
    return series.astype(object) if isinstance(series.dtype, pd.CategoricalDtype) else series


def _of_a_longer_unit(series: pd.Series, unit: str) -> Bools:
    """Which numbers count from 1970 in a unit longer than that of training, by their size, (N,)."""
    values = np.abs(cells.read_numbers(series)[0])
    return (values > 0) & (values < _LEAST.get(unit, 0.0))  # 0 is 1970 in any unit


def _nested(series: pd.Series) -> Bools:
    """Which cells are no single value, (N,)."""
    if series.dtype != object and cells.storage_of(series) != "nested":
        return np.zeros(len(series), dtype=np.bool_)
    return np.array([pd.api.types.is_list_like(c) or isinstance(c, bytes) for c in series], bool)


def _numbers(series: pd.Series) -> Bools:
    """Which cells are numbers and no truth values, (N,)."""
    types = pd.api.types
    if types.is_object_dtype(series.dtype):
        return np.array([_is_number(cell) for cell in series], dtype=np.bool_)
    plain = types.is_numeric_dtype(series.dtype) and not types.is_bool_dtype(series.dtype)
    return np.asarray(series.notna()) & plain


def _without_zone(series: pd.Series) -> Bools:
    """Which cells are typed times without a zone, (N,)."""
    naive = series.dtype.kind == "M" and series.dt.tz is None
    return np.asarray(series.notna()) & naive


def _times(series: pd.Series) -> Bools:
    """Which cells are dates or times of a type of their own, (N,)."""
    if series.dtype != object:
        return np.asarray(series.notna()) & (cells.storage_of(series) == "time")
    return np.array([isinstance(c, date | np.datetime64) and c == c for c in series], bool)


def _marked(series: pd.Series) -> Bools:
    """Which cells are text that may have been a number, (N,)."""
    if series.dtype != object:
        return np.zeros(len(series), dtype=np.bool_)
    return np.array([isinstance(cell, TextOrNumber) for cell in series], dtype=np.bool_)


def _is_number(cell: object) -> bool:
    number = isinstance(cell, int | float | Decimal | np.number) and not isinstance(cell, bool)
    return number and cell == cell


def _perhaps_a_word(series: pd.Series) -> Bools:
    """Which cells are empty without anyone having said so: a NaN, but no None and no NA, (N,)."""
    if isinstance(series.dtype, pd.StringDtype) and series.dtype.na_value is pd.NA:
        return np.zeros(len(series), dtype=np.bool_)
    return np.array([isinstance(cell, float) and cell != cell for cell in series], dtype=np.bool_)


def _spark_hides_the_zone() -> bool:
    """Tell whether this is a task of Spark in which times are those of a zone that is not UTC."""
    if "pyspark" not in sys.modules:
        return False
    from pyspark import TaskContext

    task = TaskContext.get()
    return task is not None and task.getLocalProperty(_SESSION_ZONE) not in _UTC_NAMES
