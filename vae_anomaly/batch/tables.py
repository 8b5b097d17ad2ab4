"""Score one table file in pieces, so that memory does not grow with its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.arrays import Bools
from vae_anomaly.batch.drift.tallies import Tallying
from vae_anomaly.batch.duplicate_ids import find_repeats
from vae_anomaly.batch.histories import HistoryFile, HistoryNight
from vae_anomaly.batch.learning.judging import NO_ANSWERS, schema_of, write_learned
from vae_anomaly.batch.moved import MovedColumns
from vae_anomaly.batch.output.results import BadItem, Counts, open_quarantine, output_schema
from vae_anomaly.batch.plan import Output, Partition, ScoringModel
from vae_anomaly.data.tables.files import RaggedRow, SetAside, leave_out
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.read import iter_batches
from vae_anomaly.detectors.judged import (
    N_REASONS,
    JudgedRows,
    columns_as_text,
    judge_rows,
    row_faults,
)
from vae_anomaly.errors import DataError, SchemaError
from vae_anomaly.files import replace_file
from vae_anomaly.names import typed
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.judging import Fault
from vae_anomaly.words import names_of

if TYPE_CHECKING:
    from vae_anomaly.batch.review.rows import RowReview
    from vae_anomaly.detectors.protocol import TableDetector


TABLE_SCHEMA = output_schema(
    *(pa.field(f"reason_{k}", pa.string()) for k in range(1, N_REASONS + 1))
)
CHECK_ROWS = 1000
MAX_ID = 4_096  # characters of an id


def check_plan(
    plan: Sequence[Partition],
    detector: TableDetector,
    id_column: str | None,
    group_by: str | None = None,
    learn_by: Sequence[str] = (),
) -> None:
    """Refuse tables whose columns are not the model's, from their first rows: a SchemaError.

    A file that cannot be read fails when its turn comes, and the others are scored. Where none can
    be read, the first is a DataError.
    """
    unreadable = []
    as_text = columns_as_text(detector, id_column, *learn_by)
    for partition in plan:
        try:
            path = partition.files[0].path
            frame = next(iter_batches(path, CHECK_ROWS, as_text=as_text, ragged=leave_out))
        except DataError as err:
            unreadable.append(err)
        else:
            check_columns(partition, frame, detector, id_column)
            if group_by is not None and group_by not in frame.columns:
                raise SchemaError(
                    f"{partition.files[0].path} has no column {group_by!r} to group its rows by. "
                    f"Columns: {names_of(frame.columns, 20)}. Choose another --group-by."
                )
            _check_entities(partition, frame, learn_by)
    if len(unreadable) == len(plan):
        raise unreadable[0]


def _check_entities(partition: Partition, frame: pd.DataFrame, learn_by: Sequence[str]) -> None:
    for column in learn_by:
        if column not in frame.columns:
            raise SchemaError(
                f"{partition.files[0].path} has no column {column!r} to learn by. Columns: "
                f"{names_of(frame.columns, 20)}. Leave out --learn {typed(column)}; what was "
                "learned of other columns and of the evidence still counts."
            )


def check_columns(
    partition: Partition, frame: pd.DataFrame, detector: TableDetector, id_column: str | None
) -> None:
    """Refuse a table whose columns are not the model's, by some rows of it: a SchemaError."""
    file = partition.files[0]
    entities = detector.entities_
    try:
        detector.schema_.check(frame if entities is None else entities.blank(frame))
    except SchemaError as err:
        raise SchemaError(f"{file.path}: {err}") from None
    naming = id_column or detector.schema_.id_column
    if naming is not None and naming not in frame.columns:
        raise SchemaError(
            f"{file.path} has no column {naming!r} to name its rows. Columns: "
            f"{names_of(frame.columns, 20)}. Choose another --id-column."
        )


def score_table_file(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    detector: TableDetector,
    progress: Progress,
    start: HistoryFile | None = None,
) -> tuple[Counts, list[str]]:
    """Score a table file and commit its output, and the histories after it where there are any.

    Returns the counts, and the names of what was written below the output folder.
    """
    from vae_anomaly.batch.learning.rows import RowLearning, flagged_by
    from vae_anomaly.batch.review.rows import RowReview

    id_column = output.options.id_column or detector.schema_.id_column
    path, options = partition.files[0].path, output.options
    batch_rows, learn = options.batch_rows, options.learn
    root = Path(output.root)
    part = root / output.part(partition.key)
    with (
        _named(partition, id_column, root, batch_rows) as ids,
        replace_file(part) as temporary,
        open_quarantine(root, partition.key) as keep,
    ):
        counts = Counts(keep)
        night, moved = None, MovedColumns()
        if detector.entities_ is not None:
            night = HistoryNight(detector.entities_, partition, start, ids.repeated)
        review = RowReview(partition.files[0].id, detector, night, id_column)
        tally = Tallying(detector, options.group_by)
        learning = None if learn is None else RowLearning(learn, model, detector)
        schema = schema_of(TABLE_SCHEMA, learn)
        with (
            temporary.open("wb") as file,  # Arrow opens no name that is not UTF-8
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            as_text = columns_as_text(
                detector, id_column, *([] if learn is None else learn.columns)
            )
            ragged = _ragged_to(counts, partition.files[0].id)
            for frame in iter_batches(path, batch_rows, as_text=as_text, ragged=ragged):
                judged = _judge(frame, ids, detector, night, counts)
                if judged.examination is not None:
                    examined = judged.examination
                    moved.add(examined.model.encoder.columns, examined.frame)
                tally.take_rows(judged, frame)
                names, learned = ids.of(frame), NO_ANSWERS
                if learning is not None:
                    learned = learning.take_rows(judged, names, frame)
                judged = flagged_by(learned, judged)
                columns = _answers(judged, names, model, review, frame, counts)
                columns |= {} if learning is None else learned.columns()
                writer.write_table(pa.table(columns, schema=schema))
                progress("rows", counts.rows_in, 0)
        partition.check_unchanged()
        _refuse_dry(partition, moved, frame)
        states = [] if night is None else night.write(root)
        kept = [
            *review.keeper.write(root, partition.key),
            *tally.write(root, partition.key),
            *write_learned(learning, root, partition.key),
        ]
    counts.notes = [f"{partition.files[0].id}: {note}" for note in moved.notes()]
    counts.history = {} if night is None else night.record
    return counts, [part.name, *counts.quarantine(partition.key), *kept, *states]


def _ragged_to(counts: Counts, name: str) -> SetAside:
    """Return what sets a row with too few or too many cells aside."""

    def set_aside(row: RaggedRow) -> None:
        counts.rows_in += 1
        fault = Fault("ragged", f"line {row.line}: {row.reason}")
        counts.set_aside(_bad_row(name, row.row, fault))

    return set_aside


def _refuse_dry(partition: Partition, moved: MovedColumns, frame: pd.DataFrame) -> None:
    try:
        moved.refuse_dry({str(name) for name in frame.columns})
    except DataError as err:
        raise DataError(f"{partition.files[0].path}: {err}") from None


@dataclass(frozen=True)
class _Ids:
    """Name the rows of a table, and find those whose name is missing or was seen before."""

    name: str  # of the table
    column: str | None = None  # that names the rows; None numbers them
    repeated: Bools | None = None  # (N,), whether an earlier row has a row's id

    def of(self, frame: pd.DataFrame) -> list[str | None]:
        """Return the id of each row, None where it has none."""
        if self.column is None:
            return [f"{self.name}#{row + 1}" for row in frame.index]
        return list(read_keys(frame[self.column]))

    def fault(self, identifier: str | None, row: int) -> Fault | None:
        """Say where the id does not name one row."""
        if identifier is None:
            return Fault("missing_id", f"column {self.column!r} is empty, so the row has no name")
        if len(identifier) > MAX_ID:
            return Fault(
                "long_id",
                f"the id in column {self.column!r} has {len(identifier):,} characters, where an id "
                f"has at most {MAX_ID:,}",
            )
        if self.repeated is not None and self.repeated[row]:
            return Fault("duplicate_id", f"the id {identifier!r} was given to an earlier row")
        return None


@contextmanager
def _named(partition: Partition, column: str | None, root: Path, batch_rows: int) -> Iterator[_Ids]:
    """Look through the ids of a table before it is scored."""
    file = partition.files[0]
    if column is None:
        yield _Ids(file.id)
        return
    frames = iter_batches(file.path, batch_rows, [column], as_text=[column], ragged=leave_out)
    with find_repeats(_ids_in_order(frames, column), root) as repeated:
        yield _Ids(file.id, column, repeated)


def _ids_in_order(frames: Iterable[pd.DataFrame], column: str) -> Iterator[list[str | None]]:
    """Yield the ids of all rows, None for those that are left out."""
    start = 0
    for frame in frames:
        places = np.asarray(frame.index, dtype=np.int64) - start
        ids: list[str | None] = [None] * (int(places[-1]) + 1 if len(places) else 0)
        for place, name in zip(places.tolist(), read_keys(frame[column]), strict=True):
            ids[place] = name
        yield ids
        start += len(ids)


def _judge(
    frame: pd.DataFrame,
    ids: _Ids,
    detector: TableDetector,
    night: HistoryNight | None,
    counts: Counts,
) -> JudgedRows:
    """Score the good rows of one piece; note the bad ones."""
    rows, names = frame if night is None else night.extend(frame), ids.of(frame)
    faults = [
        ids.fault(name, row) or fault
        for name, row, fault in zip(names, rows.index, row_faults(detector, rows), strict=True)
    ]
    judged = judge_rows(detector, rows, faults)
    for name, row, fault in zip(names, rows.index, judged.verdicts.faults, strict=True):
        if fault is not None:
            counts.set_aside(_bad_row(ids.name, row, fault, name))
    return judged


def _bad_row(table: str, row: int, fault: Fault, name: str | None = None) -> BadItem:
    """Return a row, counted from 0, that is not scored; its name where it has one of its own."""
    own = name if name and len(name) <= MAX_ID else f"{table}#{row + 1}"
    return BadItem(own, fault.code, fault.message, f"{table}, row {row + 1}")


def _answers(
    judged: JudgedRows,
    names: Sequence[str | None],
    model: ScoringModel,
    review: RowReview,
    frame: pd.DataFrame,
    counts: Counts,
) -> dict[str, Any]:
    """Return the output of one piece by column; keep what reviewers will see of it."""
    verdicts, explained = judged.verdicts, review.take(judged, names, frame)
    reasons = judged.reasons(N_REASONS, apart_from=list(explained))
    flagged = {place: one for place, one in explained.items() if verdicts.is_anomaly[place]}
    reasons |= {place: list(one.reasons) for place, one in flagged.items()}
    scored = verdicts.is_scored
    places = np.flatnonzero(scored).tolist()
    texts = [[*reasons.get(place, []), *[None] * N_REASONS] for place in places]
    columns = {
        "id": [names[place] for place in places],
        "score": verdicts.score[scored],
        "p_value": verdicts.p_value[scored],
        "is_anomaly": verdicts.is_anomaly[scored],
        **{f"reason_{k + 1}": [row[k] for row in texts] for k in range(N_REASONS)},
        "model_version": [model.version] * len(places),
        "threshold": np.full(len(places), model.threshold),
    }
    counts.rows_in += len(frame)
    counts.rows_out += len(places)
    counts.rows_flagged += int(np.sum(verdicts.is_anomaly[scored]))
    return columns
