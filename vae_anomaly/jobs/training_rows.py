"""Read what a table detector is trained on: a table whole, or a uniform sample of a long one.

With entities, rows are read in the order of time and get the features of their entities' own past.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from vae_anomaly.arrays import Bools, Objects
from vae_anomaly.data.tables.entity_features import DAY_NS
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories, time_text
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.labels import PieceLabels, find_labels
from vae_anomaly.data.tables.read import (
    as_frame,
    assemble,
    count_rows,
    file_fingerprint,
    iter_batches,
    iter_pieces,
    read_table,
    require_same_columns,
)
from vae_anomaly.data.tables.sample import RowSample, group_keys, row_keys
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import ConfigError, DataError, SchemaError
from vae_anomaly.jobs.confirmed import ConfirmedRows
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.words import names_of, number_of

SAMPLE_ROWS = 200_000
WARM_UP_DAYS = 7.0
WARM_UP_SHARE = 0.25  # of a short span
ROWS_TO_INFER = 100_000  # of each file, at equal distances, tell how times are written
_CONFIRMED = "\0confirmed"  # column of pieces: whether reviewers confirmed a row as an anomaly
MIN_GROUPS = 20  # fewer whole groups that fit, and rows are drawn from all groups instead


@dataclass(frozen=True)
class TableColumns:
    """What is known of a table's columns before a training; what is left out is inferred.

    Parameters
    ----------
    schema : Schema, optional
        Instead of an inferred one; it names label and id column where they are not given.
    kinds : mapping of str to str
        Kinds of single columns that stand whatever the values say.
    label : str, optional
        ``COLUMN`` or ``FILE:COLUMN``, as in `vae_anomaly.data.tables.labels.find_labels`.
    id_column : str, optional
        Column that names a row in the results; never a feature.
    groups : str, optional
        Column whose equal values are held out together, such as customer or machine; never a
        feature unless `kinds` says so.
    number_formats : mapping of str to str
        How the numbers of single columns are written, such as "1.234,5"; they are numeric.
    time_formats : mapping of str to str
        How the times of single columns are written; they are timestamps.
    missing : mapping of str to sequence of str
        Words that stand for a missing cell, by column; "" for any column.
    """

    schema: Schema | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    id_column: str | None = None
    groups: str | None = None
    number_formats: Mapping[str, str] = field(default_factory=dict)
    time_formats: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def with_times(self, entities: EntityColumns | None) -> EntityColumns | None:
        """Return the columns of entities with how their times are written, if that was said."""
        if entities is None:
            return None
        said = {} if self.schema is None else {c.name: c.time_format for c in self.schema.columns}
        form = self.time_formats.get(entities.time, said.get(entities.time))
        return entities if form is None else replace(entities, time_format=form)

    @property
    def as_text(self) -> tuple[str, ...]:
        """Columns that a CSV is read with as they are written, not as numbers."""
        named = (self.id_column, self.groups, *self.number_formats, *self.time_formats)
        known = () if self.schema is None else self.schema.as_text
        return (*known, *(name for name in named if name is not None))

    @property
    def declared(self) -> frozenset[str]:
        """Columns of which a person has said what they are."""
        known = () if self.schema is None else self.schema.names
        return frozenset({*self.kinds, *self.number_formats, *known})

    def of_entities(self, entities: EntityColumns) -> EntityColumns:
        """Return the declaration with what is known of how the amounts are written."""
        amount = entities.amount
        known = {} if self.schema is None else {c.name: c for c in self.schema.columns}
        form = known[amount].number_format if amount in known else None
        words = known[amount].missing if amount in known else ()
        return replace(
            entities,
            amount_format=self.number_formats.get(amount, form),
            amount_missing=(*words, *self.missing.get("", ()), *self.missing.get(amount, ())),
        )

    def completed(self) -> TableColumns:
        """Return it with label and id column of the schema, where they were not given."""
        if self.schema is None:
            return self
        label, id_column = self.schema.label, self.schema.id_column
        return replace(self, label=self.label or label, id_column=self.id_column or id_column)


AS_INFERRED = TableColumns()


@dataclass(frozen=True)
class TrainingRows:
    """What a training sees of a table: its rows, or a uniform sample, parted by their labels."""

    normal: pd.DataFrame
    anomalous: pd.DataFrame
    n_normal: int  # in the table
    n_anomalous: int
    fingerprint: dict[str, Any] | None = None  # of the files, where the rows are a sample
    confirmed: tuple[str, ...] = ()  # ids of the other rows that reviewers confirmed as anomalies

    @property
    def n_read(self) -> int:
        """Rows of the table."""
        return self.n_normal + self.n_anomalous + len(self.confirmed)

    @property
    def is_sample(self) -> bool:
        """Whether there are more normal rows than are held."""
        return self.n_normal > len(self.normal)


class TrainingHistories:
    """Histories that fill while tables are read once, from the oldest file to the newest.

    Every row fills them. In the first days nothing is known of anybody, and every row would look
    like a newcomer's: those of 7 days, or of a quarter of a shorter span, are not handed on.

    `files` are ordered from the oldest to the newest; `histories` stand as after the last row that
    was read; `n_read` counts the rows of the warm-up too. Raises SchemaError where a column is
    missing, DataError where a file cannot be read, has other columns, or holds no time at all.
    """

    def __init__(self, files: Sequence[Path], columns: EntityColumns) -> None:
        self.files, columns, (oldest, self._newest) = _order_by_time(files, columns)
        self.histories = EntityHistories(columns)
        self._days = min(WARM_UP_DAYS, WARM_UP_SHARE * (self._newest - oldest) / DAY_NS)
        self._from = np.datetime64(oldest + int(self._days * DAY_NS), "ns")
        self.n_read = self._n_warm_up = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, for the report."""
        return (
            f"histories of {', '.join(self.histories.columns.entities)} reach until "
            f"{time_text(self._newest)}; the first {self._days:.1f} days "
            f"({number_of(self._n_warm_up, 'row')}) only fill them and are not trained on",
        )

    @property
    def as_text(self) -> tuple[str, ...]:
        """Columns of the entities that are to be read as they are written."""
        return self.histories.columns.as_text

    def frame(self, as_text: Collection[str] = ()) -> pd.DataFrame:
        """Return all rows after the warm-up, with the features; ``as_text`` as in `read_table`.

        They are numbered through all files, the warm-up included.
        """
        frames: list[pd.DataFrame] = []
        columns: list[str] = []
        for file in self.files:
            rows = read_table(file, as_text={*as_text, *self.as_text})
            columns = columns or list(rows.columns)
            require_same_columns(file, rows.columns, self.files[0], columns)
            frames.append(self.histories.extend(rows))
        frame = pd.concat(frames, ignore_index=True)
        return frame[self._kept(frame)]

    def extend(self, pieces: Iterable[tuple[int, pa.Table]]) -> Iterator[tuple[int, pa.Table]]:
        """Give pieces of `files` their features, and leave out the warm-up.

        A piece is the number of its file and that file's next rows as stored: all of them, file
        after file. Entities, times, amounts and features of one file at a time are held.
        """
        at, start = -1, 0
        features, is_kept = pd.DataFrame(), np.zeros(0, dtype=np.bool_)
        for place, table in pieces:
            if place != at:
                at, start = place, 0
                self.histories.refuse_taken(table.column_names)
                inputs = list(self.histories.columns.inputs)
                rows = read_table(self.files[place], columns=inputs, as_text=self.as_text)
                features, is_kept = self.histories.process(rows), self._kept(rows)
            here = slice(start, start + len(table))
            start += len(table)
            if is_kept[here].any():
                yield place, _beside(table, features.iloc[here]).filter(pa.array(is_kept[here]))

    def _kept(self, frame: pd.DataFrame) -> Bools:
        """Say which rows come after the warm-up, shape (N,); count them all."""
        is_kept = np.asarray(~(self.histories.times(frame) < self._from), dtype=np.bool_)
        self.n_read += len(is_kept)
        self._n_warm_up += int(np.sum(~is_kept))
        return is_kept


def read_training_rows(
    files: Sequence[Path],
    columns: TableColumns = AS_INFERRED,
    *,
    sample_rows: int = SAMPLE_ROWS,
    seed: int | None = None,
    histories: TrainingHistories | None = None,
    confirmed: ConfirmedRows | None = None,
    progress: Progress | None = None,
) -> TrainingRows:
    """Read a table whole where it has at most ``sample_rows`` rows, else a uniform sample.

    As many normal rows and as many labelled anomalies are held at most. Where at least 20 whole
    groups fit into the sample, whole groups are drawn; else rows. The same seed draws the same
    rows, however the table is cut into pieces. Histories of these files see every row, in the
    order of time, before any is drawn; rows get their features, and the warm-up is left out.
    Rows that are ``confirmed`` anomalies are left out, and named, but fill the histories as well.

    Raises DataError or SchemaError where a file cannot be read or has other columns, ConfigError
    where an option names no column.
    """
    if sample_rows < 1:
        raise ConfigError(f"sample_rows must be at least 1; got {sample_rows}. Leave it out.")
    files = files if histories is None else histories.files
    if count_rows(files, sample_rows) <= sample_rows:
        if histories is None:
            frame = read_table(files, as_text=columns.as_text)
            return _split(frame, columns, _ids_of_confirmed(frame, files, confirmed))
        frame = histories.frame(columns.as_text)
        ids = _ids_of_confirmed(frame, files, confirmed)
        return _split(frame.reset_index(drop=True), columns, ids)
    labelled = _labels_of_pieces(files, columns)
    drawn = secrets.randbits(32) if seed is None else seed
    pieces: Iterable[tuple[int, pa.Table]] = _pieces(files, confirmed)
    pieces = pieces if histories is None else histories.extend(pieces)
    progress = progress or null_progress
    as_text = {*columns.as_text, *(histories.as_text if histories else ())}
    return _read_sample(
        files, pieces, labelled, columns.groups, sample_rows, drawn, progress, as_text
    )


def _split(frame: pd.DataFrame, columns: TableColumns, confirmed: Objects) -> TrainingRows:
    """Part the rows of a table by their labels and by what reviewers confirmed.

    ``confirmed`` has the ids of rows that are confirmed anomalies, (N,), None for others.
    """
    anomalous, id_column = np.zeros(len(frame), dtype=np.bool_), columns.id_column
    if columns.label is not None:
        if id_column is not None:
            check_column(frame, id_column, "id")
        ids = None if id_column is None else read_keys(frame[id_column])
        anomalous = find_labels(columns.label, frame, ids, id_column)[0] == 1.0
    out = pd.notna(confirmed) & ~anomalous
    normal = ~(anomalous | out)
    return TrainingRows(
        frame[normal], frame[anomalous], int(normal.sum()), int(anomalous.sum()),
        confirmed=tuple(confirmed[out]),
    )  # fmt: skip


def _ids_of_confirmed(
    frame: pd.DataFrame, files: Sequence[Path], confirmed: ConfirmedRows | None
) -> Objects:
    """Return the ids of rows that are confirmed anomalies, (N,), None for others.

    The rows are numbered through all files.
    """
    if confirmed is None:
        return np.full(len(frame), None, dtype=object)
    if confirmed.id_column is not None:
        check_column(frame, confirmed.id_column, "id")
        return confirmed.named(read_keys(frame[confirmed.id_column]))
    of_files = [confirmed.numbered(file, 0, count_rows([file], sys.maxsize)) for file in files]
    found: Objects = np.concatenate(of_files)[frame.index.to_numpy()]
    return found


def _labels_of_pieces(files: Sequence[Path], columns: TableColumns) -> PieceLabels | None:
    if columns.label is None:
        return None
    if columns.id_column is not None:
        check_column(next(iter_batches(files[0], 1)), columns.id_column, "id")
    return PieceLabels(columns.label, files, columns.id_column)


def _read_sample(
    files: Sequence[Path],
    pieces: Iterable[tuple[int, pa.Table]],
    labels: PieceLabels | None,
    groups: str | None,
    sample_rows: int,
    seed: int,
    progress: Progress,
    as_text: Collection[str],
) -> TrainingRows:
    """Go through the files once, keeping a sample of normal rows and one of anomalies."""
    normal, anomalous, grouped = (RowSample(sample_rows) for _ in range(3))
    n_read, confirmed = 0, list[str]()
    columns: list[str] = []
    for place, piece in pieces:
        table, ids = _parted(piece)
        columns = table.column_names
        marked = _marked(labels, table)
        keys = row_keys(n_read, len(table), seed)
        out = pd.notna(ids) & ~marked
        kept = ~(marked | out)
        confirmed += ids[out].tolist()
        normal.add(place, _only(table, kept), keys[kept])
        anomalous.add(place, _only(table, marked), keys[marked])
        if groups is not None:
            of_groups = group_keys(_column(table, groups, "group"), seed)
            grouped.add(place, _only(table, kept), of_groups[kept])
        n_read += len(table)
        progress("rows", n_read, 0)
    if labels is not None:
        labels.check_found()
    chosen = grouped if groups is not None and grouped.n_keys >= MIN_GROUPS else normal
    rows = assemble(files, chosen.tables(), as_text)
    none = rows.iloc[:0]  # with the columns of histories, which files lack
    return TrainingRows(
        normal=rows,
        anomalous=assemble(files, anomalous.tables(), as_text) if anomalous.n_added else none,
        n_normal=normal.n_added,
        n_anomalous=anomalous.n_added,
        fingerprint=file_fingerprint(files, normal.n_added, columns),
        confirmed=tuple(confirmed),
    )


def _pieces(
    files: Sequence[Path], confirmed: ConfirmedRows | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """Yield the pieces of all files with the file's number, refusing other columns.

    Where anything is ``confirmed`` a further column has the ids of rows that are.
    """
    columns: list[str] = []
    for place, file in enumerate(files):
        start = 0
        for table in iter_pieces(file):
            columns = columns or table.column_names
            require_same_columns(file, table.column_names, files[0], columns)
            if confirmed is not None:
                ids = _ids_in_piece(confirmed, file, start, table)
                start += len(table)
                table = table.append_column(_CONFIRMED, pa.array(ids, pa.string()))
            yield place, table


def _ids_in_piece(confirmed: ConfirmedRows, file: Path, start: int, table: pa.Table) -> Objects:
    if confirmed.id_column is None:
        return confirmed.numbered(file, start, len(table))
    return confirmed.named(read_keys(_column(table, confirmed.id_column, "id")))


def _parted(piece: pa.Table) -> tuple[pa.Table, Objects]:
    """Part a piece from the ids of its confirmed anomalies, (N,), None for other rows."""
    if _CONFIRMED not in piece.column_names:
        return piece, np.full(len(piece), None, dtype=object)
    ids = np.array(piece[_CONFIRMED].to_pylist(), dtype=object)
    return piece.drop_columns([_CONFIRMED]), ids


def _marked(labels: PieceLabels | None, table: pa.Table) -> Bools:
    """Say which rows are labelled as anomalies, shape (N,)."""
    if labels is None:
        return np.zeros(len(table), dtype=np.bool_)
    return np.asarray(labels.of(_column(table, labels.column, "label")) == 1.0, dtype=np.bool_)


def _only(table: pa.Table, rows: Bools) -> pa.Table:
    return table if rows.all() else table.filter(pa.array(rows))


def _column(table: pa.Table, name: str, what: str) -> pd.Series:
    check_column(table.column_names, name, what)
    return as_frame(table.select([name]))[name]


def check_column(names: Iterable[Hashable], name: str, what: str) -> None:
    """Refuse the name of a column that the table does not have."""
    names = list(names)
    if name not in names:
        raise ConfigError(
            f"The {what} column {name!r} is not in the table. Columns: {names_of(names, 20)}."
        )


def _order_by_time(
    files: Sequence[Path], columns: EntityColumns
) -> tuple[list[Path], EntityColumns, tuple[int, int]]:
    """Sort table files by their newest time; tell how they write times, and the span of all."""
    times = pd.concat([_some_times(file, columns) for file in files], ignore_index=True)
    columns = columns.for_table(times)
    histories = EntityHistories(columns)
    spans = [histories.span(read_table(file, columns=[columns.time])) for file in files]
    known = [span for span in spans if span is not None]
    if not known:
        raise DataError(
            f"No cell of column {columns.time!r} can be read as a time. Name the time column with "
            "--time, or correct its cells."
        )
    newest = [-1 if span is None else span[1] for span in spans]
    ordered = [files[i] for i in np.argsort(newest, kind="stable")]
    return ordered, columns, (min(span[0] for span in known), max(span[1] for span in known))


def _some_times(file: Path, columns: EntityColumns) -> pd.DataFrame:
    try:
        frame = read_table(file, columns=list(columns.inputs))
    except DataError as err:
        if "has no column" in str(err):
            raise SchemaError(f"{err} Name them with --entity, --time and --amount.") from None
        raise
    return frame.iloc[:: -(-len(frame) // ROWS_TO_INFER) or 1]


def _beside(table: pa.Table, features: pd.DataFrame) -> pa.Table:
    """Return an Arrow table with the features as further columns; missing where they are NaN."""
    for name in features:
        cells = pa.array(features[name].to_numpy(), from_pandas=True)
        table = table.append_column(str(name), cells)
    return table
