"""Keep several workers busy, whatever engine they belong to, and lose no partition with one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, Protocol

from vae_anomaly.batch.engines.partition import Outcome
from vae_anomaly.batch.output.done import input_path_of
from vae_anomaly.batch.plan import Output, Partition
from vae_anomaly.errors import VaeAnomalyError
from vae_anomaly.files import remove_stale

logger = logging.getLogger(__name__)


class WorkerEndedError(Exception):
    """A worker is gone, and so is what it was at: out of memory, or ended from outside."""


class Worker(Protocol):
    """A process somewhere that scores one partition after the other.

    Where it is gone, both methods raise `WorkerEndedError`.
    """

    def begin(self, partition: Partition) -> Future[Any]:
        """Hand in the next partition."""

    def outcome(self, future: Future[Any]) -> Outcome:
        """Return what became of it."""

    def close(self) -> None:
        """End the process."""


Hire = Callable[[int], Worker]
"""Starts the worker of a number, counted from 0."""


def score_with(
    hire: Hire, n: int, todo: list[Partition], output: Output
) -> Iterator[tuple[Partition, Outcome]]:
    """Score by ``n`` workers, in any order.

    A partition during which its worker was ended is scored once more when the others are done, with
    nothing beside it. Where that worker is ended as well, the outcome says so.

    Raises
    ------
    VaeAnomalyError
        If workers are ended again and again before anything is scored.
    """
    is_any_scored, ended = False, list[Partition]()
    for partition, outcome in _side_by_side(hire, n, todo):
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
                f"memory, or from outside. Run again with fewer than {n} --workers."
            )
    for partition, outcome in _side_by_side(hire, 1, ended):
        yield partition, _ended_twice(partition) if outcome is None else outcome
    if ended:
        remove_stale(Path(output.root))


def _side_by_side(
    hire: Hire, n: int, todo: list[Partition]
) -> Iterator[tuple[Partition, Outcome | None]]:
    """Score by ``n`` workers; None where the worker was ended."""
    team = _Team(hire)
    left, busy = iter(todo), dict[Future[Any], tuple[int, Partition]]()
    try:
        for number, partition in zip(range(n), left, strict=False):
            busy[team.begin(number, partition)] = number, partition
        while busy:
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                number, partition = busy.pop(future)
                outcome = team.outcome(number, future)
                following = next(left, None)
                if following is not None:
                    busy[team.begin(number, following)] = number, following
                yield partition, outcome
    finally:
        team.close()


class _Team:
    """Workers by number; where one was ended, a new one takes its place."""

    def __init__(self, hire: Hire) -> None:
        self._hire = hire
        self._workers: dict[int, Worker] = {}

    def begin(self, number: int, partition: Partition) -> Future[Any]:
        if number not in self._workers:
            self._workers[number] = self._hire(number)
        try:
            return self._workers[number].begin(partition)
        except WorkerEndedError:  # between two partitions
            self._dismiss(number)
            self._workers[number] = self._hire(number)
            return self._workers[number].begin(partition)

    def outcome(self, number: int, future: Future[Any]) -> Outcome | None:
        try:
            return self._workers[number].outcome(future)
        except WorkerEndedError:
            self._dismiss(number)
            return None

    def close(self) -> None:
        for number in list(self._workers):
            self._dismiss(number)

    def _dismiss(self, number: int) -> None:
        self._workers.pop(number).close()


def _ended_twice(partition: Partition) -> str:
    return (
        f"{input_path_of(partition)} could not be scored: the worker at it ({partition.key}) was "
        "ended twice, the second time with no other beside it: out of memory, or from outside. "
        "Give it more memory, or take it out of the input, and run again."
    )
