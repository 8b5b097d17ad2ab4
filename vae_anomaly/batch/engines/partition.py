"""Score one partition, wherever it is: what every engine runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vae_anomaly.batch.histories import HistoryFile
from vae_anomaly.batch.output.holding import writing_for
from vae_anomaly.batch.output.ledger import PartitionResult
from vae_anomaly.batch.output.results import Counts
from vae_anomaly.batch.plan import (
    Output,
    Partition,
    ScoringModel,
    input_digest,
    loaded_detector,
)
from vae_anomaly.errors import DataError
from vae_anomaly.files import reach, sha256_of
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.storage.addresses import with_addresses
from vae_anomaly.storage.later import present

Outcome = PartitionResult | str
"""What scoring gave, or why the input could not be read."""
StartOf = Callable[[Partition], HistoryFile | None]
"""Returns the histories that a partition goes on from."""


def score_partition(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    *,
    progress: Progress = null_progress,
    start: HistoryFile | None = None,
) -> PartitionResult:
    """Score one partition and commit its output file; the same arguments give the same bytes.

    It takes picklable arguments and needs nothing else, so any engine can run it anywhere that sees
    the same files. The output file is put in place last; the caller then writes the ledger.

    Parameters
    ----------
    start : HistoryFile, optional
        Of a model with entities: the histories to go on from.

    Raises
    ------
    DataError
        If the input cannot be read, or was changed since it was planned.
    StorageError
        If the output cannot be written.
    LockedError
        If the output is that of a run which no longer holds the folder.
    """
    began = time.perf_counter()
    reach("partition-started", partition.key)
    partition.check_unchanged()
    root = Path(output.root)
    with present(partition.paths):
        with writing_for(output.run, root):
            counts, names = _score(partition, model, output, progress, start)
        digest = input_digest(partition)
    result = PartitionResult(
        key=partition.key,
        input_sha256=digest,
        rows_in=counts.rows_in,
        rows_out=counts.rows_out,
        rows_flagged=counts.rows_flagged,
        rows_quarantined=counts.codes.total(),
        output=names[0],
        files={name: sha256_of(root / name) for name in names},
        codes=dict(counts.codes.most_common()),
        seconds=time.perf_counter() - began,
        history=counts.history,
        notes=counts.notes,
    )
    partition.check_unchanged()
    reach("partition-finished")
    return result


def _score(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    progress: Progress,
    start: HistoryFile | None,
) -> tuple[Counts, list[str]]:
    """Score by the model's kind; who scores tables loads no image code."""
    detector = loaded_detector(model)
    if detector.kind == "tabular":
        from vae_anomaly.batch.tables import score_table_file

        return score_table_file(partition, model, output, detector, progress, start)
    from vae_anomaly.batch.images import score_image_files

    return score_image_files(partition, model, output, detector, progress)


def attempt(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    tell: Progress = null_progress,
    start_of: StartOf | None = None,
) -> Outcome:
    """Score a partition; an input that cannot be read is told and does not end the run."""
    try:
        start = None if start_of is None else start_of(partition)
        return score_partition(partition, model, output, progress=tell, start=start)
    except DataError as err:
        return with_addresses(str(err))
