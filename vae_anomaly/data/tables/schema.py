"""Say what each column of a table is: a schema that a person can read, edit and override.

How `Schema.infer` decides is written in `vae_anomaly.data.tables.kinds`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds import (
    FEATURE_KINDS,
    Column,
    ColumnKind,
    attributes_of_keys,
    copies_of_label,
    find_clocks,
    infer_column,
    known_answer,
    proposed_roles,
)
from vae_anomaly.data.tables.said import (
    as_kind,
    declared_columns,
    missing_words,
    refuse_unknown,
    with_times,
)
from vae_anomaly.errors import DataError, SchemaError, did_you_mean
from vae_anomaly.files import parsed_json
from vae_anomaly.words import names_of, number_of, verb_for

_TROUBLE: Final = {
    "infinite": "is infinite",
    "not_a_number": "is not a number",
    "not_a_boolean": "is neither 0 nor 1",
    "not_a_time": "is not a date or time",
    "other_time_format": "is not written like the column's other dates ({how})",
    "time_zone_name": "names its zone in letters, which is not read: write +01:00, or UTC",
    "time_out_of_range": "is outside the years 1 to 9999: it may count in another unit",
}
_REMEDY_OF_COLUMNS: Final = "Add or rename them; if they are gone for good, train a new model."
_REMEDY_OF_CELLS: Final = (
    "Write them as the rows of training are; if the column means something else now, leave it out "
    "of a new training."
)
_REMEDY_OF_TIMES: Final = (
    "Write times as 2024-03-31 17:30; before a training, say how they are written with "
    "--time-format COLUMN=FORMAT, or leave the column out with --ignore."
)


class Schema(BaseModel):
    """The columns of a table and what each is; immutable, JSON in and out.

    Parameters
    ----------
    columns : tuple of Column
        In the table's order, the label left out.
    label : str, optional
        The column that says what is anomalous; never a feature.
    id_column : str, optional
        The column that names a row in the output; never a feature.

    Examples
    --------
    >>> frame = pd.DataFrame({"amount": [1.5, 2.5, None], "shop": ["a", "b", "a"]})
    >>> [(column.name, column.kind.value) for column in Schema.infer(frame).columns]
    [('amount', 'numeric'), ('shop', 'categorical')]
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[Column, ...]
    label: str | None = None
    id_column: str | None = None

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        twice = _repeated(self.names)
        if twice:
            raise ValueError(f"column {twice[0]!r} is listed twice")
        if self.label in self.names:
            raise ValueError(f"label {self.label!r} is also listed as a column")
        return self

    @classmethod
    def infer(
        cls,
        frame: pd.DataFrame,
        *,
        overrides: Mapping[str, str] | None = None,
        said: Sequence[Column] = (),
        label: str | None = None,
        id_column: str | None = None,
        number_formats: Mapping[str, str] | None = None,
        time_formats: Mapping[str, str] | None = None,
        missing: Mapping[str, Sequence[str]] | None = None,
    ) -> Self:
        """Decide the kind of every column from its type and values.

        ``overrides`` are kinds by column name that stand whatever the values say. ``said`` are
        columns as a person has edited them: kind, note, and how times and numbers are written
        stand; an override goes before them. The label and the id column are no features.
        ``number_formats`` and ``time_formats`` say by column name how its numbers or times are
        written, and so that they are such; ``missing`` by column name which words stand for a
        missing cell, "" for any column.

        Raises
        ------
        ConfigError
            If an override, format, missing word, the label or the id column names no column, or a
            kind or format does not exist.
        DataError
            If two columns have one name.
        """
        names = [str(name) for name in frame.columns]
        _refuse_repeated(names)
        said = with_times(said, time_formats or {}, names)
        declared = declared_columns(overrides or {}, said, names, number_formats or {})
        words = missing_words(missing or {}, names)
        for role, name in (("label", label), ("id_column", id_column)):
            refuse_unknown(role, name, names)
        if id_column is not None:
            declared[id_column] = as_kind(declared.get(id_column), id_column, ColumnKind.IDENTIFIER)
        cells = {n: frame.iloc[:, i] for i, n in enumerate(names) if n != label}
        columns = {
            name: infer_column(name, cells[name], declared.get(name), words[name]) for name in cells
        }
        columns |= proposed_roles(columns, cells, declared)
        columns |= attributes_of_keys(columns, cells, declared)
        answer = known_answer(
            columns, cells, None if label is None else frame.iloc[:, names.index(label)]
        )
        if answer is not None:
            columns |= copies_of_label(columns, cells, declared, answer)
        columns |= find_clocks(columns, cells, declared)
        return cls(columns=tuple(columns.values()), label=label, id_column=id_column)

    def without_copies(
        self, frame: pd.DataFrame, is_anomaly: Bools, said: Collection[str] = ()
    ) -> Self:
        """Leave out the features that repeat the label of the rows; those of ``said`` stay.

        Parameters
        ----------
        frame : DataFrame of N rows, normal ones and anomalies
        is_anomaly : ndarray of shape (N,), bool
        said : collection of str
            Columns of which a person has said what they are.
        """
        columns = {column.name: column for column in self.columns}
        series = {str(name): frame[name] for name in frame.columns}
        columns |= copies_of_label(columns, series, said, is_anomaly)
        return self.model_copy(update={"columns": tuple(columns.values())})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order, without the label."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that a model reads, in order."""
        return tuple(column for column in self.columns if column.kind in FEATURE_KINDS)

    @property
    def as_text(self) -> tuple[str, ...]:
        """The columns that a CSV is to be read with as they are written, not as numbers."""
        written = tuple(column.name for column in self.features if column.number_format)
        return written if self.id_column is None else (self.id_column, *written)

    def _is_time(self, name: str) -> bool:
        return self[name].kind is ColumnKind.TIMESTAMP

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"no column {name!r}{did_you_mean(name, self.names)}")

    def check(self, frame: pd.DataFrame) -> tuple[str, ...]:
        """Refuse a table that lacks a feature or holds another kind of value in it.

        It may have further columns, in any order: those that the schema does not know are returned.
        The SchemaError names every missing and every retyped column at once.
        """
        present = [str(name) for name in frame.columns]
        _refuse_repeated(present)
        unknown = [n for n in present if n not in self.names and n not in {self.label}]
        wanted = [column.name for column in self.features]
        lacking = {name: _missing_column(name, unknown) for name in wanted if name not in present}
        retyped = {
            column.name: fault
            for column in self.features
            if column.name in present
            and (fault := _retyped(column, frame.iloc[:, present.index(column.name)]))
        }
        if lacking or retyped:
            raise SchemaError(" ".join([*_lacks(lacking), *self._differs(retyped)]))
        return tuple(unknown)

    def _differs(self, retyped: Mapping[str, str]) -> Iterator[str]:
        """Say which columns are there but hold other cells, and what to do."""
        if retyped:
            told = "; ".join(retyped.values())
            remedy = _REMEDY_OF_TIMES if all(map(self._is_time, retyped)) else _REMEDY_OF_CELLS
            yield f"Columns of the table do not hold what the model was trained on: {told}."
            yield remedy

    def cast(
        self, frame: pd.DataFrame, *, on_bad: Literal["raise", "missing"] = "raise"
    ) -> pd.DataFrame:
        """Return the feature columns with one plain type each, in the schema's order.

        Parameters
        ----------
        frame : DataFrame of N rows
        on_bad : {"raise", "missing"}
            What to do about cells that `bad_rows` names: refuse, or make them missing. Choose
            "missing" only where the rows of `bad_rows` are kept out of the result.

        Returns
        -------
        DataFrame of N rows, index kept
            numeric: float64, NaN = missing; boolean: float64 0/1/NaN, or another number where the
            training data held numbers (a 2 among 0 and 1 is anomalous, not unreadable); timestamp:
            datetime64[ns] in UTC, NaT = missing; categorical: object, str or None.

        Raises
        ------
        SchemaError
            If a feature column is missing.
        DataError
            If a cell cannot be read and `on_bad` is "raise".
        """
        read = self._read(frame)
        if on_bad == "raise":
            _refuse_bad(self._bad_rows(frame, read))
        return pd.DataFrame(
            {name: pd.Series(values, index=frame.index) for name, (values, _) in read.items()},
            index=frame.index,
        )

    def bad_rows(self, frame: pd.DataFrame) -> pd.Series:
        """Name the rows that cannot be scored, with a code and a message each.

        Infinite numbers, text in a number's place and dates that are none are bad; missing cells
        are data. Returns None or (code, message with column and value), shape (N,), index kept.
        """
        return self._bad_rows(frame, self._read(frame))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, dictionaries and strings."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_json(self) -> str:
        """Return JSON text, one block per column, to be edited by hand."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a schema from plain data; SchemaError names every mistake."""
        try:
            return cls.model_validate(dict(data))
        except ValidationError as err:
            raise SchemaError(_explain(err, data)) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read JSON text as `to_json` writes it; SchemaError names every mistake."""
        try:
            data = parsed_json(text)
        except json.JSONDecodeError as err:
            raise SchemaError(
                f"The schema is not JSON: line {err.lineno}, column {err.colno}: {err.msg}. "
                "Correct the file there."
            ) from None
        if not isinstance(data, dict):
            raise SchemaError(
                f"A schema is an object with 'columns'; got {type(data).__name__}. "
                "Start from the file that `Schema.to_json` writes."
            )
        return cls.from_dict(data)

    def _read(self, frame: pd.DataFrame) -> dict[str, tuple[AnyArray, cells.Codes]]:
        """Read every feature column once: values and codes of bad cells."""
        present = [str(name) for name in frame.columns]
        lacking = {
            column.name: _missing_column(column.name, present)
            for column in self.features
            if column.name not in present
        }
        if lacking:
            raise SchemaError("".join(_lacks(lacking)))
        return {
            column.name: _read_column(column, frame.iloc[:, present.index(column.name)])
            for column in self.features
        }

    def _bad_rows(
        self, frame: pd.DataFrame, read: Mapping[str, tuple[AnyArray, cells.Codes]]
    ) -> pd.Series:
        out = np.full(len(frame), None, dtype=object)
        present = [str(name) for name in frame.columns]
        for name, (_, codes) in read.items():
            for row in np.flatnonzero(pd.notna(codes)):
                value = frame.iloc[int(row), present.index(name)]
                out[row] = _join_faults(out[row], self[name], value, codes[row])
        return pd.Series(out, index=frame.index, dtype=object)


def _read_column(column: Column, series: pd.Series) -> tuple[AnyArray, cells.Codes]:
    """Read one column as its kind asks."""
    series = cells.without_words(series, column.missing)
    if column.kind is ColumnKind.NUMERIC:
        return cells.read_numbers(series, column.numbers)
    if column.kind is ColumnKind.BOOLEAN:
        return _read_boolean(column, series)
    if column.kind is ColumnKind.TIMESTAMP:
        return cells.read_times(series, column.time_format)
    codes = np.full(len(series), None, dtype=object)
    if pd.api.types.is_float_dtype(series.dtype):
        codes = cells.read_numbers(series)[1]
    return cells.read_text(series), codes


def _read_boolean(column: Column, series: pd.Series) -> tuple[Floats, cells.Codes]:
    """Read 0 and 1; a column that was numbers in training keeps other numbers, for the model."""
    if column.stored == "number" and cells.storage_of(series) == "number":
        return cells.read_numbers(series)
    return cells.read_booleans(series)


def _join_faults(
    earlier: tuple[str, str] | None, column: Column, value: object, code: str
) -> tuple[str, str]:
    """Add one bad cell to what is known of a row; the first code stands."""
    shown = repr(str(value)[:60])
    message = f"column {column.name!r}: {shown} {_trouble(column, value, code)}"
    return (code, message) if earlier is None else (earlier[0], f"{earlier[1]}; {message}")


def _trouble(column: Column, value: object, code: str) -> str:
    """Say what is wrong with a cell."""
    if code == "not_a_number" and _is_of_another_format(column, value):
        return f"is not written like the column's numbers ({column.number_format or '1234.5'})"
    return _TROUBLE[code].format(how=cells.words_for(column.time_format))


def _is_of_another_format(column: Column, value: object) -> bool:
    """Tell whether a bad cell of a numeric column is text that may be a number elsewhere."""
    if not isinstance(value, str):
        return False
    return column.number_format is not None or cells.take_apart(value) is not None


def _refuse_bad(bad: pd.Series) -> None:
    """Raise for the first rows that cannot be read, counted from 1."""
    faults = [
        (label + 1 if isinstance(label, int) else place, fault[1])
        for place, (label, fault) in enumerate(bad.items(), start=1)
        if fault is not None
    ]
    if not faults:
        return
    shown = "; ".join(f"row {row}: {message}" for row, message in faults[:3])
    raise DataError(
        f"{len(faults)} of {number_of(len(bad), 'row')} {verb_for(len(faults), 'holds', 'hold')} "
        f"values that cannot be read: {shown}{' ...' if len(faults) > 3 else ''}. Correct or drop "
        "them; before a training, say with --missing what stands for an empty cell, as --missing "
        "Infinity. A batch puts such rows in quarantine."
    )


def _retyped(column: Column, series: pd.Series) -> str | None:
    """Say how a column's values differ in kind from the model's; None if they do not."""
    storage = cells.storage_of(series)
    if storage == "empty":
        return None
    if storage == "nested":
        return f"{column.name!r} is {column.kind} but holds nested or binary values"
    if column.kind is ColumnKind.CATEGORICAL:
        other = column.stored == "text" and storage in {"number", "time"}
        return f"{column.name!r} was text but now holds {storage}s" if other else None
    codes = _read_column(column, series)[1]
    bad = [i for i in np.flatnonzero(pd.notna(codes)) if codes[i] != "infinite"]
    if not bad:
        return None
    present = int((~series.isna()).sum())
    if len(bad) * 2 <= present or (present < 3 and storage == "text"):
        return None
    example = series.iloc[bad[0]]
    if codes[bad[0]] in {"other_time_format", "time_zone_name", "time_out_of_range"}:
        return f"{column.name!r}: {str(example)[:40]!r} {_trouble(column, example, codes[bad[0]])}"
    shown = f", e.g. {str(example)[:40]!r}"
    if column.kind is ColumnKind.NUMERIC and _is_of_another_format(column, example):
        shown = f": {str(example)[:40]!r} {_trouble(column, example, codes[bad[0]])}"
    return f"{column.name!r} is {column.kind} but holds {storage}{shown}"


def _lacks(lacking: Mapping[str, str]) -> Iterator[str]:
    """Say which columns are missing, and what to do."""
    if lacking:
        told = "; ".join(lacking.values())
        yield f"The table does not have the model's columns: {told}. {_REMEDY_OF_COLUMNS}"


def _missing_column(name: str, candidates: Sequence[str]) -> str:
    return f"{name!r} is missing{did_you_mean(name, candidates)}"


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _refuse_repeated(names: Sequence[str]) -> None:
    twice = _repeated(names)
    if twice:
        raise DataError(
            f"The table has more than one column named {names_of(map(repr, twice), 10)}. "
            "Rename or drop the copies."
        )


def _explain(err: ValidationError, data: Mapping[str, Any]) -> str:
    """Turn pydantic's list into one message that names column and key, with the nearest name."""
    parts = [_explain_one(error, data) for error in err.errors()]
    return f"The schema cannot be read: {'; '.join(parts)}. Correct the file there."


def _explain_one(error: Any, data: Mapping[str, Any]) -> str:
    place = list(error["loc"])
    where = "schema"
    known: list[str] = [*Schema.model_fields]
    if place[:1] == ["columns"] and len(place) > 1:
        column = data["columns"][place[1]]
        name = column.get("name", f"number {place[1]}") if isinstance(column, dict) else place[1]
        where, known = f"column {name!r}", [*Column.model_fields]
    key = str(place[-1]) if place else ""
    if error["type"] == "extra_forbidden":
        return f"{where} has the unknown key {key!r}{did_you_mean(key, known)}"
    if error["type"] == "enum":
        near = did_you_mean(str(error["input"]), [kind.value for kind in ColumnKind])
        return f"{where} has the unknown kind {error['input']!r}{near}"
    return f"{where}: {key}: {error['msg']}" if key else f"{where}: {error['msg']}"
