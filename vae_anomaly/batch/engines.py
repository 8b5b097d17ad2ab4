"""Where partitions are scored: in this process, or in several. An engine decides nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from vae_anomaly.batch.histories import State
from vae_anomaly.batch.ledger import PartitionResult
from vae_anomaly.batch.partition import score_partition
from vae_anomaly.batch.plan import Partition
from vae_anomaly.batch.settings import Output, ScoringModel
from vae_anomaly.errors import DataError
from vae_anomaly.progress import Progress, null_progress

Outcome = PartitionResult | str
"""What scoring gave, or why the input could not be read."""


def one_process(
    todo: list[Partition],
    model: ScoringModel,
    output: Output,
    progress: Progress,
    start_of: Callable[[Partition], State | None] | None = None,
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
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(todo)),
        mp_context=context,
        initializer=_prepare_worker,
        initargs=(threads, model.device, context.Value("i", 0)),
    ) as pool:
        waiting = {pool.submit(_attempt, one, model, output): one for one in todo}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(
    partition: Partition,
    model: ScoringModel,
    output: Output,
    tell: Progress = null_progress,
    start_of: Callable[[Partition], State | None] | None = None,
) -> Outcome:
    """Score a partition; an input that cannot be read is told and does not end the run."""
    try:
        start = None if start_of is None else start_of(partition)
        return score_partition(partition, model, output, progress=tell, start=start)
    except DataError as err:
        return str(err)


def _prepare_worker(threads: int, device: str, started: Any) -> None:
    """Set a new process up; ``started`` counts them, and "cuda" shares them out to the GPUs."""
    import torch

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
