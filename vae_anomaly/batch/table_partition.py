"""Score one table file in pieces, so that memory does not grow with its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vae_anomaly.batch.commit import replace_file
from vae_anomaly.batch.plan import Partition
from vae_anomaly.batch.quarantine import BadItem, Counts, write_quarantine
from vae_anomaly.batch.settings import Output, ScoringModel
from vae_anomaly.batch.state import Night, State
from vae_anomaly.data.tables import iter_batches
from vae_anomaly.errors import SchemaError
from vae_anomaly.progress import Progress

__all__ = ["TABLE_SCHEMA", "check_table", "score_table"]

N_REASONS = 3
TABLE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("p_value", pa.float64(), nullable=False),
        pa.field("is_anomaly", pa.bool_(), nullable=False),
        *(pa.field(f"reason_{k}", pa.string()) for k in range(1, N_REASONS + 1)),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("threshold", pa.float64(), nullable=False),
    ]
)
CHECK_ROWS = 1000

Floats = NDArray[np.float64]


def check_table(partition: Partition, detector: Any, id_column: str | None) -> None:
    """Refuse a table whose columns are not the model's, from its first rows.

    Raises
    ------
    SchemaError
        Names the file and every wrong column.
    """
    file = partition.files[0]
    frame = next(iter_batches(file.path, CHECK_ROWS))
    entities = detector.entities_
    try:
        detector.schema_.check(frame if entities is None else entities.blank(frame))
    except SchemaError as err:
        raise SchemaError(f"{file.path}: {err}") from None
    naming = id_column or detector.schema_.id_column
    if naming is not None and naming not in frame.columns:
        raise SchemaError(
            f"{file.path} has no column {naming!r} to name its rows. "
            f"Columns: {', '.join(map(str, frame.columns[:20]))}. Choose another --id-column."
        )


def score_table(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    detector: Any,
    progress: Progress,
    start: State | None = None,
) -> tuple[Counts, list[str]]:
    """Score a table file and commit its output, and the histories after it where there are any.

    Returns
    -------
    counts : Counts
    files : list of str
        What was written, below the output folder.
    """
    id_column = output.options.id_column or detector.schema_.id_column
    path, batch_rows = partition.files[0].path, output.options.batch_rows
    repeated = _repeated_ids(path, id_column, batch_rows)
    ids = _Ids(partition, id_column, repeated)
    night = None
    if detector.entities_ is not None:
        copies = _later_copies(path, id_column, repeated, batch_rows)
        night = Night(detector, partition, start, copies)
    counts = Counts()
    root = Path(output.root)
    part = root / output.part(partition.key)
    with replace_file(part) as temporary:
        with pq.ParquetWriter(temporary, TABLE_SCHEMA, compression="zstd") as writer:
            for frame in iter_batches(path, batch_rows):
                rows = frame if night is None else night.extend(frame)
                writer.write_table(_score_rows(rows, ids, model, detector, counts))
                progress("rows", counts.rows_in, 0)
        partition.check_unchanged()
        quarantine = write_quarantine(root, partition.key, counts.bad)
        states = [] if night is None else night.write(root)
    counts.history = {} if night is None else night.told
    return counts, [part.name, *([quarantine] if quarantine else []), *states]


class _Ids:
    """Name rows, and find those whose name is missing or was seen before."""

    def __init__(self, partition: Partition, column: str | None, repeated: set[str]) -> None:
        self.name = partition.files[0].id
        self.column = column
        self._repeated = repeated
        self._seen: set[str] = set()

    def of(self, frame: pd.DataFrame) -> list[str | None]:
        """Return the id of each row, None where it has none."""
        if self.column is None:
            return [f"{self.name}#{row + 1}" for row in frame.index]
        return _texts(frame[self.column])

    def fault(self, identifier: str | None) -> tuple[str, str] | None:
        """Return code and message where the id does not name one row."""
        if identifier is None:
            return "missing_id", f"column {self.column!r} is empty, so the row has no name"
        if identifier not in self._repeated:
            return None
        if identifier in self._seen:
            return "duplicate_id", f"the id {identifier!r} was given to an earlier row"
        self._seen.add(identifier)
        return None


def _score_rows(
    frame: pd.DataFrame, ids: _Ids, model: ScoringModel, detector: Any, counts: Counts
) -> Any:
    """Score the good rows of one piece; note the bad ones."""
    names = ids.of(frame)
    faults: list[tuple[str, str] | None] = [
        ids.fault(name) or fault
        for name, fault in zip(names, detector.schema_.bad_rows(frame), strict=True)
    ]
    good = np.array([fault is None for fault in faults], dtype=bool)
    raw = np.full(len(frame), np.nan)
    rows = detector.schema_.cast(frame[good])
    if good.any():
        raw[good] = detector._raw_score(rows)
    for position in np.flatnonzero(good & ~np.isfinite(raw)):
        faults[position] = ("nonfinite_score", "the model gave no finite number for this row")
    scored = good & np.isfinite(raw)
    for position in np.flatnonzero(~scored):
        row = int(frame.index[int(position)]) + 1
        code, message = faults[position] or ("unknown", "not scored")
        source = f"{ids.name}, row {row}"
        counts.bad.append(BadItem(names[position] or f"{ids.name}#{row}", code, message, source))
    kept = [name for name, ok in zip(names, scored, strict=True) if ok]
    table = _answers(kept, raw[scored], rows[np.isfinite(raw[good])], model, detector)
    counts.rows_in += len(frame)
    counts.rows_out += len(table)
    counts.rows_flagged += int(np.sum(table.column("is_anomaly").to_numpy()))
    return table


def _answers(
    ids: list[str | None], raw: Floats, rows: pd.DataFrame, model: ScoringModel, detector: Any
) -> Any:
    score = detector.calibration_.anomaly_score(raw) if raw.size else raw
    p_value = detector.calibration_.p_value(raw) if raw.size else raw
    flagged = score > model.threshold
    columns = {
        "id": ids,
        "score": score,
        "p_value": p_value,
        "is_anomaly": flagged,
        **_reasons(rows, flagged, detector),
        "model_version": [model.version] * raw.size,
        "threshold": np.full(raw.size, model.threshold),
    }
    return pa.table(columns, schema=TABLE_SCHEMA)


def _reasons(
    rows: pd.DataFrame, flagged: NDArray[np.bool_], detector: Any
) -> dict[str, list[str | None]]:
    """Say for each flagged row what made it strange; nothing for the others."""
    columns: list[list[str | None]] = [[None] * len(rows) for _ in range(N_REASONS)]
    positions = np.flatnonzero(flagged)
    if positions.size:
        texts = detector.reasons(rows.iloc[positions], top=N_REASONS)
        for position, told in zip(positions, texts, strict=True):
            for place, text in enumerate(told[:N_REASONS]):
                columns[place][position] = text
    return {f"reason_{k + 1}": column for k, column in enumerate(columns)}


def _repeated_ids(path: str, column: str | None, batch_rows: int) -> set[str]:
    """Return the ids that occur more than once, in memory of 8 bytes a row.

    Hashes find the few candidates; their texts are then compared, so a collision does no harm.
    """
    if column is None:
        return set()
    hashes = [_hashed(texts) for texts in _id_texts(path, column, batch_rows)]
    values, count = np.unique(np.concatenate(hashes), return_counts=True)
    suspects = values[count > 1]
    if not suspects.size:
        return set()
    tally: Counter[str] = Counter()
    for texts in _id_texts(path, column, batch_rows):
        tally.update(texts[np.isin(_hashed(texts), suspects)].tolist())
    return {text for text, count in tally.items() if count > 1}


def _later_copies(path: str, column: str | None, repeated: set[str], batch_rows: int) -> list[int]:
    """Return the numbers of the rows whose id an earlier row has, from 0."""
    if column is None or not repeated:
        return []
    seen: set[str | None] = set()
    copies = []
    for frame in iter_batches(path, batch_rows):
        for row, text in zip(frame.index, _texts(frame[column]), strict=True):
            if text in repeated and text in seen:
                copies.append(int(row))
            seen.add(text)
    return copies


def _id_texts(path: str, column: str, batch_rows: int) -> Iterator[NDArray[np.object_]]:
    for frame in iter_batches(path, batch_rows):
        texts = [text for text in _texts(frame[column]) if text is not None]
        yield np.array(texts, dtype=object)


def _hashed(texts: NDArray[np.object_]) -> NDArray[np.uint64]:
    return np.asarray(pd.util.hash_array(texts, categorize=False), dtype=np.uint64)


def _texts(cells: pd.Series[Any]) -> list[str | None]:
    """Return ids as text; whole numbers without a point, missing or blank as None."""
    texts: list[str | None] = []
    for cell in cells.tolist():
        if cell is None or cell != cell or cell is pd.NaT or cell is pd.NA:
            texts.append(None)
        elif isinstance(cell, float) and cell.is_integer():
            texts.append(str(int(cell)))
        else:
            texts.append(str(cell).strip() or None)
    return texts
