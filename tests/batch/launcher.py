"""A process that has everything loaded, and scores or calls a command in a fork of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vae_anomaly.tracking.store import ENVIRONMENT

LAUNCHER = """
import json, os, resource, signal, sys, time
import mlflow  # as all that follows: once, not in every fork
from vae_anomaly.batch import score_images, score_tables
from vae_anomaly.cli import main
from vae_anomaly.files import VARIABLE
from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector  # loaded before the forks
from vae_anomaly.errors import VaeAnomalyError

print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ[VARIABLE] = order["failpoint"]
        if order.get("cache"):
            os.environ["VAE_ANOMALY_CACHE"] = order.get("cache")
        if order["stderr"]:
            os.dup2(os.open(order["stderr"], os.O_WRONLY), 2)
        if order["max_bytes"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["max_bytes"],) * 2)
        if order.get("command"):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.environ.update(order["environment"])
            os.chdir(order["folder"])
            main(order["command"])
        places = order["model"], order["night"], order["out"]
        try:
            if order["images"]:
                score_images(*places)
            else:
                score_tables(
                    *places, id_column=order["id_column"], workers=order["workers"],
                    learn=order.get("learn"), night=order.get("night_of"), uri=order.get("uri"),
                )
        except VaeAnomalyError as err:
            print(err, file=sys.stderr, flush=True)
            sys.exit(err.exit_code)
        sys.exit(0)
    deadline = time.monotonic() + order["patience"]
    pid = 0
    while pid == 0:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == 0 and time.monotonic() > deadline:
            os.kill(child, order["signal"])
            pid, status = os.waitpid(child, 0)
        time.sleep(0.002)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""

KILLED = -signal.SIGKILL
Launch = Callable[..., int]
Order = Callable[[dict[str, object]], int]


@pytest.fixture(scope="session")
def launcher() -> Iterator[Order]:
    """Give the process an order; return the exit status of its fork, negative for a signal."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", LAUNCHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    def give(order: dict[str, object]) -> int:
        print(json.dumps(order), file=process.stdin, flush=True)
        assert process.stdout is not None
        return int(process.stdout.readline())

    yield give
    process.stdin.close()
    process.wait(timeout=30)
    process.stdout.close()


@pytest.fixture
def launch(launcher: Order) -> Launch:
    """Score in a process of its own; return its exit status, negative for a signal."""

    def run(
        model: Path | str,
        night: Path,
        out: Path,
        failpoint: str = "",
        *,
        images: bool = False,
        id_column: str | None = "id",
        workers: int = 1,
        stderr: Path | None = None,
        patience: float = 60,
        ended_by: int = signal.SIGKILL,
        max_bytes: int = 0,
        learn: list[str] | None = None,
        night_of: str | None = None,
        uri: str | None = None,
        cache: Path | None = None,
    ) -> int:
        order: dict[str, object] = {"model": str(model), "night": str(night), "out": str(out)}
        order |= {"learn": learn, "night_of": night_of, "uri": uri, "cache": cache and str(cache)}
        order |= {"failpoint": failpoint, "images": images}
        order |= {"id_column": id_column, "workers": workers, "stderr": stderr and str(stderr)}
        order |= {"patience": patience, "signal": int(ended_by), "max_bytes": max_bytes}
        return launcher(order)

    return run


@pytest.fixture
def launch_command(launcher: Order, tmp_path: Path) -> Callable[..., int]:
    """Call a command in a process of its own; return its exit status, negative for a signal."""

    def run(*command: str, failpoint: str = "") -> int:
        order: dict[str, object] = {"command": command, "failpoint": failpoint}
        order |= {"environment": dict(os.environ), "folder": str(tmp_path)}
        return launcher(order | {"stderr": "", "max_bytes": 0, "patience": 60, "signal": 9})

    return run
