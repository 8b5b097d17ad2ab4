"""The engine of one machine: partitions in this process, or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import FrameType

from vae_anomaly.batch.engines.partition import Outcome, StartOf, attempt
from vae_anomaly.batch.engines.side_by_side import WorkerEndedError, score_with
from vae_anomaly.batch.output.ledger import PartitionResult
from vae_anomaly.batch.plan import (
    Output,
    Partition,
    ScoringModel,
)
from vae_anomaly.logs import JsonLines
from vae_anomaly.progress import Progress
from vae_anomaly.threads import threads_of_a_worker


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
        outcome = attempt(partition, model, output, tell, start_of)
        yield partition, outcome
        before += outcome.rows_in if isinstance(outcome, PartitionResult) else len(partition.files)


def many_processes(
    todo: list[Partition], model: ScoringModel, output: Output, workers: int
) -> Iterator[tuple[Partition, Outcome]]:
    """Score in several processes, each with its own copy of the model; see `score_with`."""
    n = min(workers, len(todo))
    threads = threads_of_a_worker(n)
    return score_with(lambda number: _Process(number, threads, model, output), n, todo, output)


class _Process:
    """A process that scores one partition after the other.

    Each is a pool of its own: in a shared one the end of a process takes the work of all others
    with it, and does not say which partition it was at.
    """

    def __init__(self, number: int, threads: int, model: ScoringModel, output: Output) -> None:
        self._arguments = model, output
        setup = number, threads, model.device, isinstance(sys.stderr, JsonLines)
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _prepare_worker, setup)

    def begin(self, partition: Partition) -> Future[Outcome]:
        try:
            return self._pool.submit(attempt, partition, *self._arguments)
        except BrokenProcessPool as err:
            raise WorkerEndedError from err

    def outcome(self, future: Future[Outcome]) -> Outcome:
        try:
            return future.result()
        except BrokenProcessPool as err:
            raise WorkerEndedError from err

    def close(self) -> None:
        """End the process when it is done with its partition."""
        self._pool.shutdown(cancel_futures=True)


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


def _prepare_worker(number: int, threads: int, device: str, as_json: bool) -> None:
    """Set a new process up; with "cuda" its number says which of the GPUs it takes."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    import torch

    if as_json:
        sys.stderr = JsonLines(sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())


def _end_with_the_parent() -> None:
    """End this process, whatever it is at, when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - a worker has one
    parent.join()
    os._exit(1)


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    def tell(stage: str, done: int, of: int) -> None:
        progress(stage, before + done, total or of)

    return tell
