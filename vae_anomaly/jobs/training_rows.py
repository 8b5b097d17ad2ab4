"""Read what a table detector is trained on: a table whole, or a uniform sample of a long one."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from vae_anomaly.arrays import Bools
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.frames import as_frame
from vae_anomaly.data.tables.labels import PieceLabels, find_labels
from vae_anomaly.data.tables.read import (
    assemble,
    count_rows,
    file_fingerprint,
    iter_batches,
    iter_pieces,
    read_table,
)
from vae_anomaly.data.tables.sample import RowSample, group_keys, row_keys
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.jobs.entity_rows import Past
from vae_anomaly.progress import Progress, null_progress

SAMPLE_ROWS = 200_000
MIN_GROUPS = 20  # fewer whole groups that fit, and rows are drawn from all groups instead


@dataclass(frozen=True)
class TrainingRows:
    """What a training sees of a table.

    Parameters
    ----------
    normal, strange : DataFrame
        Rows not labelled as anomalies, and those that are: all, or a uniform sample of them.
    n_normal, n_strange : int
        How many there are in the table.
    fingerprint : dict or None
        Of the files, where the rows are a sample.
    """

    normal: pd.DataFrame
    strange: pd.DataFrame
    n_normal: int
    n_strange: int
    fingerprint: dict[str, Any] | None = None

    @property
    def n_read(self) -> int:
        """Rows of the table."""
        return self.n_normal + self.n_strange

    @property
    def is_sample(self) -> bool:
        """Whether there are more normal rows than are held."""
        return self.n_normal > len(self.normal)


def read_training_rows(
    files: Sequence[Path],
    *,
    label: str | None = None,
    id_column: str | None = None,
    groups: str | None = None,
    sample_rows: int = SAMPLE_ROWS,
    seed: int | None = None,
    past: Past | None = None,
    progress: Progress | None = None,
) -> TrainingRows:
    """Read a table whole where it has at most ``sample_rows`` rows, else a uniform sample.

    Parameters
    ----------
    files : sequence of path
    label, id_column, groups : str, optional
        As in `vae_anomaly.jobs.train_table_job`. Where at least 20 whole groups fit into the
        sample, whole groups are drawn; else rows.
    sample_rows : int
        Most normal rows, and most labelled anomalies, that are held in memory.
    seed : int, optional
        The same number draws the same rows, however the table is cut into pieces.
    past : Past, optional
        Of these files. It sees every row, in the order of time, before any is drawn; rows get its
        features, and those of its warm-up are left out.
    progress : callable, optional
        Called as ``progress("rows", done, 0)`` while a long table is read.

    Raises
    ------
    DataError, SchemaError
        If a file cannot be read, or has other columns.
    ConfigError
        If an option names no column.
    """
    if sample_rows < 1:
        raise ConfigError(f"sample_rows must be at least 1; got {sample_rows}. Leave it out.")
    files = files if past is None else past.files
    if count_rows(files, sample_rows) <= sample_rows:
        frame = read_table(files) if past is None else past.frame()
        return _split(frame, label, id_column)
    labelled = _labels_of_pieces(files, label, id_column)
    drawn = secrets.randbits(32) if seed is None else seed
    pieces = _pieces(files) if past is None else past.extend(_pieces(files))
    tell = progress or null_progress
    return _read_sample(files, pieces, labelled, groups, sample_rows, drawn, tell)


def _split(frame: pd.DataFrame, label: str | None, id_column: str | None) -> TrainingRows:
    """Part the rows of a table by their labels."""
    strange = np.zeros(len(frame), dtype=np.bool_)
    if label is not None:
        if id_column is not None:
            _check_column(frame, id_column, "id")
        ids = None if id_column is None else read_text(frame[id_column])
        strange = find_labels(label, frame, ids, id_column)[0] == 1.0
    n_strange = int(strange.sum())
    return TrainingRows(frame[~strange], frame[strange], len(frame) - n_strange, n_strange)


def _labels_of_pieces(
    files: Sequence[Path], label: str | None, id_column: str | None
) -> PieceLabels | None:
    if label is None:
        return None
    if id_column is not None:
        _check_column(next(iter_batches(files[0], 1)), id_column, "id")
    return PieceLabels(label, files, id_column)


def _read_sample(
    files: Sequence[Path],
    pieces: Iterable[tuple[int, Any]],
    labels: PieceLabels | None,
    groups: str | None,
    sample_rows: int,
    seed: int,
    progress: Progress,
) -> TrainingRows:
    """Go through the files once, keeping a sample of normal rows and one of anomalies."""
    normal, strange, grouped = (RowSample(sample_rows) for _ in range(3))
    n_read = 0
    columns: list[str] = []
    for place, table in pieces:
        columns = table.column_names
        marked = _marked(labels, table)
        keys = row_keys(n_read, len(table), seed)
        normal.add(place, _only(table, ~marked), keys[~marked])
        strange.add(place, _only(table, marked), keys[marked])
        if groups is not None:
            of_groups = group_keys(_column(table, groups, "group"), seed)
            grouped.add(place, _only(table, ~marked), of_groups[~marked])
        n_read += len(table)
        progress("rows", n_read, 0)
    if labels is not None:
        labels.check_found()
    chosen = grouped if groups is not None and grouped.n_keys >= MIN_GROUPS else normal
    return TrainingRows(
        normal=assemble(files, chosen.tables()),
        strange=assemble(files, strange.tables()),
        n_normal=normal.n_added,
        n_strange=strange.n_added,
        fingerprint=file_fingerprint(files, normal.n_added, columns),
    )


def _pieces(files: Sequence[Path]) -> Iterator[tuple[int, Any]]:
    """Yield the pieces of all files with the file's number, refusing other columns."""
    columns: list[str] = []
    for place, file in enumerate(files):
        for table in iter_pieces(file):
            columns = columns or table.column_names
            _refuse_other_columns(file, files[0], table.column_names, columns)
            yield place, table


def _marked(labels: PieceLabels | None, table: Any) -> Bools:
    """Say which rows are labelled as anomalies, shape (N,)."""
    if labels is None:
        return np.zeros(len(table), dtype=np.bool_)
    return np.asarray(labels.of(_column(table, labels.column, "label")) == 1.0, dtype=np.bool_)


def _only(table: Any, rows: Bools) -> Any:
    return table if rows.all() else table.filter(pa.array(rows))


def _column(table: Any, name: str, what: str) -> pd.Series[Any]:
    if name not in table.column_names:
        _check_column(pd.DataFrame(columns=table.column_names), name, what)
    return as_frame(table.select([name]))[name]


def _check_column(frame: pd.DataFrame, name: str, what: str) -> None:
    if name not in frame.columns:
        raise ConfigError(
            f"The {what} column {name!r} is not in the table. Columns: "
            f"{', '.join(map(str, frame.columns[:20]))}."
        )


def _refuse_other_columns(
    file: Path, first: Path, found: Sequence[str], wanted: Sequence[str]
) -> None:
    differing = set(found) ^ set(wanted)
    if differing:
        raise DataError(
            f"{file} and {first} differ in column {sorted(differing)[0]!r}. "
            "Give files with the same columns, or choose columns that all have."
        )
