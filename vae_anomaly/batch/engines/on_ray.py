"""The engine of several machines: partitions in actors of a Ray cluster.

Each actor loads the model once. The machines must see input, model and output folder under the same
paths, and have this package installed. Results are committed as in every engine, file by file, and
the run that waits here keeps the ledger: Ray only decides where a partition is scored.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from vae_anomaly.batch.engines.partition import Outcome, attempt
from vae_anomaly.batch.engines.side_by_side import WorkerEndedError, score_with
from vae_anomaly.batch.plan import Output, Partition, ScoringModel
from vae_anomaly.errors import ConfigError, VaeAnomalyError
from vae_anomaly.threads import threads_of_a_worker
from vae_anomaly.words import number_of

ADDRESS = "RAY_ADDRESS"
"""Variable with the cluster's address, as Ray has it; without, one is started on this machine."""
_OBJECT_BYTES = 80 * 2**20  # what Ray takes at least; only paths and counts travel


def in_actors(
    todo: list[Partition], model: ScoringModel, output: Output, workers: int
) -> Iterator[tuple[Partition, Outcome]]:
    """Score in actors, each with its own copy of the model; see `score_with`.

    A cluster that this process is connected to, or that `ADDRESS` names, is used; else one is
    started here and ended afterwards.

    Raises
    ------
    ConfigError
        If the cluster does not answer, or has too few cores or no GPU.
    """
    n = min(workers, len(todo))
    with _cluster(n):
        needs = _needs(n, model.device)
        hire = partial(_Actor, needs, threads_of_a_worker(n), model, output)
        yield from score_with(lambda number: hire(), n, todo, output)


@contextmanager
def _cluster(workers: int) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    own: dict[str, Any] = {"num_cpus": workers, "object_store_memory": _OBJECT_BYTES}
    address = os.environ.get(ADDRESS)
    try:
        ray.init(
            address or "local", log_to_driver=False, logging_level="ERROR",
            **({} if address else {**own, "include_dashboard": False}),
        )  # fmt: skip
    except (ConnectionError, RayError, ValueError, RuntimeError) as err:
        where = f"The Ray cluster at {address} ({ADDRESS})" if address else "Ray on this machine"
        reason = str(err).partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"{where} does not start or answer: {reason}. See `ray status`, or leave --engine out."
        ) from err
    try:
        yield
    finally:
        ray.shutdown()


def _needs(workers: int, device: str) -> dict[str, float]:
    """Return what each actor is given; refuse what the cluster would let wait for ever."""
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 0)), there.get("GPU", 0)
    if cores < workers:
        raise ConfigError(
            f"The Ray cluster has {number_of(cores, 'core')}, and each of {workers} workers takes "
            "one. Give fewer --workers, or add machines to it."
        )
    if not device.startswith("cuda"):
        return {"num_cpus": 1}
    if not gpus:
        raise ConfigError("The Ray cluster has no GPU. Leave --device out, or add a machine to it.")
    return {"num_cpus": 1, "num_gpus": min(1.0, gpus / workers)}


class _Actor:
    """An actor as the one who hires it sees it."""

    def __init__(
        self, needs: dict[str, float], threads: int, model: ScoringModel, output: Output
    ) -> None:
        remote = ray.remote(_Scorer).options(max_restarts=0, max_task_retries=0, **needs)
        self._handle = remote.remote(threads, model, output)

    def begin(self, partition: Partition) -> Future[Any]:
        future: Future[Any] = self._handle.attempt.remote(partition).future()
        return future

    def outcome(self, future: Future[Any]) -> Outcome:
        try:
            found = future.result()
        except RayActorError as err:
            raise WorkerEndedError from err
        if isinstance(found, VaeAnomalyError):
            raise found
        outcome: Outcome = found
        return outcome

    def close(self) -> None:
        ray.kill(self._handle)


class _Scorer:
    """What runs in an actor's process."""

    def __init__(self, threads: int, model: ScoringModel, output: Output) -> None:
        import torch

        torch.set_num_threads(threads)
        self._arguments = model, output

    def attempt(self, partition: Partition) -> Outcome | VaeAnomalyError:
        try:
            return attempt(partition, *self._arguments)
        except VaeAnomalyError as err:  # returned: Ray would wrap it in an error of its own
            return err
