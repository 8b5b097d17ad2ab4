"""The engine of a Spark cluster: each partition is a job of one task, a `mapInArrow`.

The machines must see input, model and output folder under the same paths, and have this package
installed. What Spark collects are counts and digests; rows go from the input to the output file and
never through Spark, whose own writers would double them where a task runs twice.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from vae_anomaly import errors
from vae_anomaly.batch.engines.partition import Outcome, attempt
from vae_anomaly.batch.engines.side_by_side import WorkerEndedError, score_with
from vae_anomaly.batch.output.ledger import PartitionResult
from vae_anomaly.batch.plan import Output, Partition, ScoringModel
from vae_anomaly.errors import ConfigError, VaeAnomalyError
from vae_anomaly.state import from_json
from vae_anomaly.threads import threads_of_a_worker

_GONE = ("Python worker exited unexpectedly", "ExecutorLostFailure", "Connection reset")
_PYTHON = "PYSPARK_PYTHON"
_QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
}


def in_tasks(
    todo: list[Partition], model: ScoringModel, output: Output, workers: int
) -> Iterator[tuple[Partition, Outcome]]:
    """Score in tasks, as many at a time as there are workers; see `score_with`.

    The session of this process is used, also one that ``spark-submit`` has set up; else one is
    started on this machine and ended afterwards.

    Raises
    ------
    ConfigError
        If Spark does not start.
    """
    n = min(workers, len(todo))
    with _session(n) as spark:
        arguments = spark, threads_of_a_worker(n), model, output
        yield from score_with(lambda number: _Slot(*arguments), n, todo, output)


@contextmanager
def _session(workers: int) -> Iterator[SparkSession]:
    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    os.environ.setdefault(_PYTHON, sys.executable)
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
    builder = SparkSession.builder.appName("vae-anomaly")
    for name, value in {"spark.master": f"local[{workers}]", **_QUIET}.items():
        builder = builder.config(name, value)
    with _apart() as errors_of_java:
        try:
            spark = builder.getOrCreate()
        except (PySparkException, Py4JError, OSError, RuntimeError) as err:
            lines = [*errors_of_java().splitlines(), str(err).partition("\n")[0]]
            reason = next(line for line in lines if line.strip()).rstrip(".")
            raise ConfigError(
                f"Spark does not start: {reason}. It needs Java 17 (JAVA_HOME); or leave --engine "
                "out."
            ) from err
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def _apart() -> Iterator[Callable[[], str]]:
    """Keep what Java prints as it starts, and for as long as it lives, out of our stderr.

    Java takes over the file that is open as stderr while it is started. Yields what reads it.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:

        def text() -> str:
            file.seek(0)
            return file.read()

        os.dup2(file.fileno(), 2)
        try:
            yield text
        finally:
            os.dup2(ours, 2)
            os.close(ours)


class _Slot:
    """A place for one task at a time: a thread that waits for its job."""

    def __init__(
        self, spark: SparkSession, threads: int, model: ScoringModel, output: Output
    ) -> None:
        self._spark = spark
        self._arguments = threads, model, output
        self._thread = ThreadPoolExecutor(1)

    def begin(self, partition: Partition) -> Future[str]:
        return self._thread.submit(self._run, partial(_task, partition, *self._arguments))

    def outcome(self, future: Future[str]) -> Outcome:
        try:
            told = json.loads(future.result())
        except (PySparkException, Py4JError) as err:
            if any(words in str(err) for words in _GONE):
                raise WorkerEndedError from err
            raise
        if "error" in told:
            raise getattr(errors, told["error"])(told["message"])
        result = told.get("result")
        return str(told["failed"]) if result is None else from_json(PartitionResult, result)

    def close(self) -> None:
        self._thread.shutdown()

    def _run(self, task: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]) -> str:
        one = self._spark.range(1, numPartitions=1)
        [row] = one.mapInArrow(task, "outcome string").collect()
        outcome: str = row.outcome
        return outcome


def _task(
    partition: Partition,
    threads: int,
    model: ScoringModel,
    output: Output,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Score one partition, whatever the one row says that Spark hands in."""
    import torch

    torch.set_num_threads(threads)
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"outcome": [json.dumps(_told(partition, model, output))]})


def _told(partition: Partition, model: ScoringModel, output: Output) -> dict[str, Any]:
    try:
        outcome = attempt(partition, model, output)
    except VaeAnomalyError as err:
        return {"error": type(err).__name__, "message": str(err)}
    if isinstance(outcome, str):
        return {"failed": outcome}
    return {"result": asdict(outcome)}
