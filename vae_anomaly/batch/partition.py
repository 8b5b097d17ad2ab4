"""Score one partition: the pure step that every engine runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vae_anomaly.batch.histories import State
from vae_anomaly.batch.ledger import PartitionResult
from vae_anomaly.batch.plan import Partition, input_digest
from vae_anomaly.batch.quarantine import Counts
from vae_anomaly.batch.settings import Output, ScoringModel, loaded_detector
from vae_anomaly.failpoints import reach
from vae_anomaly.files import sha256_of
from vae_anomaly.progress import Progress, null_progress


def score_partition(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    *,
    progress: Progress = null_progress,
    start: State | None = None,
) -> PartitionResult:
    """Score one partition and commit its output file; the same arguments give the same bytes.

    It takes picklable arguments and needs nothing else, so any engine can run it anywhere that sees
    the same files. The output file is put in place last; the caller then writes the ledger.

    Parameters
    ----------
    partition : Partition
    model : ScoringModel
    output : Output
    progress : callable, optional
    start : State, optional
        Of a model with entities: the histories to go on from.

    Raises
    ------
    DataError
        If the input cannot be read, or was changed since it was planned.
    StorageError
        If the output cannot be written.
    """
    began = time.perf_counter()
    reach("partition-started")
    partition.check_unchanged()
    detector = loaded_detector(model)
    work = _work_for(partition)
    counts, names = work(partition, model, output, detector, progress, start)
    root = Path(output.root)
    result = PartitionResult(
        key=partition.key,
        input_sha256=input_digest(partition),
        rows_in=counts.rows_in,
        rows_out=counts.rows_out,
        rows_flagged=counts.rows_flagged,
        rows_quarantined=counts.codes.total(),
        output=names[0],
        files={name: sha256_of(root / name) for name in names},
        codes=dict(counts.codes.most_common()),
        seconds=time.perf_counter() - began,
        history=counts.history,
    )
    partition.check_unchanged()
    reach("partition-finished")
    return result


def _work_for(partition: Partition) -> Callable[..., tuple[Counts, list[str]]]:
    """Return what scores a partition of this kind; who scores tables loads no image code."""
    if partition.kind == "table":
        from vae_anomaly.batch.tables import score_table

        return score_table
    from vae_anomaly.batch.images import score_images

    return score_images
