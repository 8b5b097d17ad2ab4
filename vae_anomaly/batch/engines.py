"""Where partitions are scored: in this process, or in several. An engine decides nothing else."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from vae_anomaly.batch.histories import HistoryFile
from vae_anomaly.batch.ledger import PartitionResult
from vae_anomaly.batch.plan import (
    Output,
    Partition,
    ScoringModel,
    input_digest,
    loaded_detector,
)
from vae_anomaly.batch.results import Counts
from vae_anomaly.errors import DataError, VaeAnomalyError
from vae_anomaly.files import reach, sha256_of
from vae_anomaly.logs import JsonLines
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.threads import threads_of_a_worker

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

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
    """
    began = time.perf_counter()
    reach("partition-started")
    partition.check_unchanged()
    counts, names = _score(partition, model, output, progress, start)
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


def one_process(
    todo: list[Partition],
    model: ScoringModel,
    output: Output,
    progress: Progress,
    start_of: StartOf | None = None,
) -> Iterator[tuple[Partition, Outcome]]:
    """Score one after the other, here; ``start_of`` is asked for each when its turn comes."""
    images = sum(len(partition.files) for partition in todo if partition.kind == "images")
    before = 0
    for partition in todo:
        tell = _shifted(progress, before, images)
        outcome = _attempt(partition, model, output, tell, start_of)
        yield partition, outcome
        before += outcome.rows_in if isinstance(outcome, PartitionResult) else len(partition.files)


def many_processes(
    todo: list[Partition], model: ScoringModel, output: Output, workers: int
) -> Iterator[tuple[Partition, Outcome]]:
    """Score in several processes, each with its own copy of the model, in any order."""
    context = multiprocessing.get_context("spawn")
    n = min(workers, len(todo))
    with ProcessPoolExecutor(
        n,
        mp_context=context,
        initializer=_prepare_worker,
        initargs=(
            threads_of_a_worker(n),
            model.device,
            context.Value("i", 0),
            isinstance(sys.stderr, JsonLines),
        ),
    ) as pool:
        waiting = {pool.submit(_attempt, one, model, output): one for one in todo}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool:
            raise VaeAnomalyError(
                f"One of {workers} workers ended without a word: out of memory, or ended from "
                "outside. What was finished is kept. Run again to go on, with fewer --workers."
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def graceful_termination() -> Iterator[None]:
    """Turn SIGTERM into ``SystemExit(143)`` inside the block, so that open files are put away.

    A handler that somebody else has set stays, and outside the main thread nothing is done.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _attempt(
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
        return str(err)


def _prepare_worker(threads: int, device: str, started: Synchronized[int], as_json: bool) -> None:
    """Set a new process up; ``started`` counts them, and "cuda" shares them out to the GPUs."""
    import torch

    if as_json:
        sys.stderr = JsonLines(sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    torch.set_num_threads(threads)
    with started.get_lock():
        number = started.value
        started.value += 1
    if device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    def tell(stage: str, done: int, of: int) -> None:
        progress(stage, before + done, total or of)

    return tell
