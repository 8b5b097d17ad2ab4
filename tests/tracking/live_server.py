"""A real MLflow server on loopback that hands out artifacts; it can be killed and come back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

START_TIMEOUT_S = 180.0  # much longer than it takes, for machines that are busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer: {log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a server and the workers that it started; it leads their group."""
    with suppress(ProcessLookupError):  # a test has stopped it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


class LiveServer:
    """``mlflow server`` over a database; its files lie in ``home`` and go over HTTP alone."""

    def __init__(self, home: Path, backend: str) -> None:
        self.port = free_port()
        self.home, self.backend = home, backend
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
            "--port", str(self.port), "--backend-store-uri", self.backend,
            "--serve-artifacts", "--artifacts-destination", str(self.home / "artifacts"),
            "--workers", "1",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # starts more processes
        }
        environment.pop("MLFLOW_TRACKING_URI", None)
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.home, env=environment,
                start_new_session=True,
            )  # fmt: skip
        wait_until_it_answers(f"{self.url}/health", self.process, self.home / "log")

    def kill(self) -> None:
        """Kill it and the workers that it started; it leads their group."""
        if self.process is None:
            return
        stop(self.process)
        self.process = None
