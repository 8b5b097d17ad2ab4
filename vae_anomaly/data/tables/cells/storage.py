"""Tell how a column is stored, and undo what only stores values differently."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionDtype

from vae_anomaly.arrays import Bools, Indices, Objects

Storage = Literal["number", "boolean", "time", "text", "nested", "empty"]
Codes = Objects
MISSING_WORDS: Final = frozenset(
    {
        *("", "na", "n/a", "n.a.", "n.a", "nan", "nat", "nd", "n/d", "k.a.", "nil", "none", "null"),
        *("\\n", "<na>", "(null)", "[null]", "<null>", "?", ".", "..", "*", "-", "--", "---"),
        *("\N{EN DASH}", "\N{EM DASH}", "unknown", "missing", "not available", "not applicable"),
        *("#n/a", "#nv", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!"),
        *("1.#qnan", "1.#ind", "-1.#ind", "unbekannt", "keine angabe", "inconnu", "desconocido"),
    }
)
_INFERRED: Final[dict[str, Storage]] = {
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "timedelta": "number",
    "timedelta64": "number",
    "boolean": "boolean",
    "date": "time",
    "datetime": "time",
    "datetime64": "time",
    "string": "text",
    "empty": "empty",
}


def are_fine(codes: Codes) -> Bools:
    """Tell which cells a reader could read, shape (N,), from its codes; missing ones are fine."""
    return np.asarray(codes == None, dtype=np.bool_)  # noqa: E711 - an array of codes


def storage_of(series: pd.Series) -> Storage:
    """Tell how a column is stored, from its type and, for Python objects, from its values.

    Returns
    -------
    {"number", "boolean", "time", "text", "nested", "empty"}
        "nested" stands for what no model here reads: lists, dictionaries, bytes, complex numbers.
    """
    series = dense(series)
    by_type = storage_of_type(series.dtype)
    if by_type is not None:
        return "empty" if by_type != "nested" and bool(series.isna().all()) else by_type
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in {"mixed", "mixed-integer", "bytes", "complex", "time", "period", "interval"}:
        return "nested" if _any_nested(series) else "text"
    return _INFERRED.get(inferred, "text")


def dense(series: pd.Series) -> pd.Series:
    """Undo what only stores values differently: categories, sparse arrays, periods."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return dense(series.astype(dtype.categories.dtype if len(dtype.categories) else object))
    if isinstance(dtype, pd.SparseDtype):
        return pd.Series(np.asarray(series.array), index=series.index)
    if isinstance(dtype, pd.PeriodDtype):
        return pd.Series(series.dt.to_timestamp())
    if isinstance(dtype, pd.ArrowDtype) and not _arrow_is_plain(dtype.pyarrow_dtype):
        return _from_arrow(series, dtype.pyarrow_dtype)
    return series


def distinct_cells(series: pd.Series) -> tuple[Indices, pd.Index]:
    """Return the place of each cell among the distinct values (-1: missing), and these values."""
    try:
        places, distinct = pd.factorize(series, use_na_sentinel=True)
    except TypeError:  # cells that cannot be hashed, such as lists
        places, distinct = pd.factorize(series.map(str, na_action="ignore"), use_na_sentinel=True)
    is_text = isinstance(distinct.dtype, pd.StringDtype)
    return places, distinct.astype(object) if is_text else distinct  # quick to go through


def without_words(series: pd.Series, words: Collection[str]) -> pd.Series:
    """Return a column in which the cells that hold one of some words are missing.

    Words are compared in any case, and by their value where they are numbers: "-999" is -999.0.
    """
    if not words:
        return series
    known = {word.strip().casefold() for word in words}
    numbers = {value for word in known if (value := _number_of(word)) is not None}
    series = dense(series)
    places, distinct = distinct_cells(series)
    is_word = [_is_one_of(cell, known, numbers) for cell in distinct]
    return series.mask(np.array([*is_word, False], dtype=bool)[places])


def _is_one_of(cell: object, words: Collection[str], numbers: Collection[float]) -> bool:
    """Tell whether a cell is one of the words, or a number of that value."""
    text = str(cell).strip().casefold()
    return text in words or (bool(numbers) and _number_of(text) in numbers)


def _number_of(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _arrow_is_plain(kind: pa.DataType) -> bool:
    """Tell whether pandas answers for an Arrow-backed type as it does for its own."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
    )


def _from_arrow(series: pd.Series, kind: pa.DataType) -> pd.Series:
    """Turn Arrow decimals to float64, dates to times, the rest to what pandas makes of it."""
    array = pa.chunked_array(series.array.__arrow_array__())
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
    elif pa.types.is_decimal(kind):
        array = array.cast(pa.float64())
    elif pa.types.is_date(kind):
        array = array.cast(pa.timestamp("ms"))
    elif pa.types.is_null(kind):
        return pd.Series(np.full(len(series), None, dtype=object), index=series.index)
    return pd.Series(array.to_pandas()).set_axis(series.index)


def storage_of_type(dtype: np.dtype | ExtensionDtype) -> Storage | None:
    """Tell the storage by the type alone; None where the values must be asked."""
    types = pd.api.types
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_datetime64_any_dtype(dtype):
        return "time"
    if types.is_complex_dtype(dtype) or isinstance(dtype, pd.IntervalDtype):
        return "nested"
    if types.is_numeric_dtype(dtype) or types.is_timedelta64_dtype(dtype) or is_duration(dtype):
        return "number"
    return None if types.is_object_dtype(dtype) else "text"


def is_duration(dtype: np.dtype | ExtensionDtype) -> bool:
    """Tell whether a type is Arrow's time span."""
    return isinstance(dtype, pd.ArrowDtype) and bool(pa.types.is_duration(dtype.pyarrow_dtype))


def _any_nested(series: pd.Series) -> bool:
    nested = (list, dict, set, tuple, bytes, bytearray, complex, np.ndarray, pd.Interval)
    return any(isinstance(value, nested) for value in series)
