"""The engine of one machine: partitions in this process, or in several."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from vae_anomaly.batch.engines.partition import Outcome, StartOf, attempt
from vae_anomaly.batch.output.done import input_path_of
from vae_anomaly.batch.output.ledger import PartitionResult
from vae_anomaly.batch.plan import (
    Output,
    Partition,
    ScoringModel,
)
from vae_anomaly.errors import VaeAnomalyError
from vae_anomaly.files import remove_stale
from vae_anomaly.logs import JsonLines
from vae_anomaly.progress import Progress
from vae_anomaly.threads import threads_of_a_worker

logger = logging.getLogger(__name__)


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
    """Score in several processes, each with its own copy of the model, in any order.

    A partition during which its process was ended, by the system for want of memory or from
    outside, is scored once more when the others are done, with nothing beside it. Where that
    process is ended as well, the outcome says so.

    Raises
    ------
    VaeAnomalyError
        If processes are ended again and again before anything is scored.
    """
    n = min(workers, len(todo))
    is_any_scored, ended = False, list[Partition]()
    for partition, outcome in _side_by_side(todo, model, output, n, threads_of_a_worker(n)):
        if outcome is not None:
            is_any_scored = True
            yield partition, outcome
            continue
        ended.append(partition)
        logger.warning(
            "The worker at %s was ended: out of memory, or from outside. It is scored once more "
            "when the others are done, with no other beside it.", input_path_of(partition),
            extra={"event": "worker-ended", "run": output.run, "partition": partition.key},
        )  # fmt: skip
        if not is_any_scored and len(ended) > 2 * n:
            raise VaeAnomalyError(
                f"{len(ended)} workers were ended before one of them had scored anything: out of "
                f"memory, or from outside. Run again with fewer than {workers} --workers."
            )
    for partition, outcome in _side_by_side(ended, model, output, 1, threads_of_a_worker(n)):
        yield partition, _ended_twice(partition) if outcome is None else outcome
    if ended:
        remove_stale(Path(output.root))


def _side_by_side(
    todo: list[Partition], model: ScoringModel, output: Output, n: int, threads: int
) -> Iterator[tuple[Partition, Outcome | None]]:
    """Score in ``n`` processes; None where the process was ended."""
    workers = [_Worker(number, threads, model, output) for number in range(n)]
    left, busy = iter(todo), dict[Future[Outcome], tuple[_Worker, Partition]]()
    try:
        for worker, partition in zip(workers, left, strict=False):
            busy[worker.begin(partition)] = worker, partition
        while busy:
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, partition = busy.pop(future)
                following = next(left, None)
                if following is not None:
                    busy[worker.begin(following)] = worker, following
                yield partition, _outcome(future)
    finally:
        for worker in workers:
            worker.close()


class _Worker:
    """A process that scores one partition after the other; where it was ended, a new one.

    Each is a pool of its own: in a shared one the end of a process takes the work of all others
    with it, and does not say which partition it was at.
    """

    def __init__(self, number: int, threads: int, model: ScoringModel, output: Output) -> None:
        self._arguments = model, output
        self._setup = number, threads, model.device, isinstance(sys.stderr, JsonLines)
        self._pool = self._started()

    def begin(self, partition: Partition) -> Future[Outcome]:
        """Hand in the next partition."""
        try:
            return self._pool.submit(attempt, partition, *self._arguments)
        except BrokenProcessPool:
            self.close()
            self._pool = self._started()
            return self._pool.submit(attempt, partition, *self._arguments)

    def close(self) -> None:
        """End the process when it is done with its partition."""
        self._pool.shutdown(cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(1, context, _prepare_worker, self._setup)


def _outcome(future: Future[Outcome]) -> Outcome | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return None


def _ended_twice(partition: Partition) -> str:
    return (
        f"{input_path_of(partition)} could not be scored: the worker at it ({partition.key}) was "
        "ended twice, the second time with no other beside it: out of memory, or from outside. "
        "Give it more memory, or take it out of the input, and run again."
    )


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
