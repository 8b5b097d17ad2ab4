"""A real MLflow server on loopback: it works, it dies, it hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from vae_anomaly import load_detector
from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking import load, log_training, register_directory, resolve, show_model

START_TIMEOUT_S = 180.0  # much longer than it takes, for machines that are busy
OUTAGE_LIMIT_S = 15.0


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
    """Kill the server and the workers that it started; it leads their group."""
    with suppress(ProcessLookupError):  # a test has stopped it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


@pytest.fixture(scope="module")
def server(migrated_store: Path, tmp_path_factory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and process of an MLflow server with a SQLite database."""
    home, port = tmp_path_factory.mktemp("server"), free_port()
    (home / "mlflow.db").write_bytes((migrated_store / "mlflow.db").read_bytes())
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}",
        "--artifacts-destination", str(home / "artifacts"), "--workers", "1",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # starts more processes
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=home, env=environment, start_new_session=True
        )
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/health", process, home / "log")
            yield f"http://127.0.0.1:{port}", process
        finally:
            stop(process)


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def promoted_as_json(url: str) -> dict[str, object]:
    """Return what `models promote --json` prints with MLflow at its most talkative."""
    line = ["models", "promote", "cards", "1", "--alias", "challenger", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", "from vae_anomaly.cli import main; main()", *line],
        env={**os.environ, "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "false"},
        capture_output=True,
        check=True,
    )
    assert b"View run" in done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def test_server_keeps_runs_and_models_and_its_death_loses_nothing(
    server, table_model, store, tmp_path, monkeypatch
):
    url, process = server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    made = log_training(load_detector(table_model), name="cards", alias="champion")
    assert (made.version, made.store) == (1, url)
    _, model = load("models:/cards@champion")
    assert model.digest == made.digest
    assert show_model("cards").aliases == {"champion": 1}
    told = promoted_as_json(url)
    assert (told["alias"], told["new_version"]) == ("challenger", 1)

    stop(process)
    start = time.monotonic()
    with pytest.raises(RegistryUnavailableError, match=url):
        resolve("models:/cards@champion")
    assert resolve("models:/cards@champion", use_cached=True) == model
    with pytest.raises(RegistryUnavailableError, match="register_directory"):
        log_training(load_detector(table_model), name="cards")
    assert time.monotonic() - start < OUTAGE_LIMIT_S
    (record,) = (tmp_path / "vae-anomaly-store" / "spool").iterdir()
    assert register_directory(record, uri=store).version == 1


def test_port_that_says_nothing_is_given_up_within_seconds(silent_port):
    start = time.monotonic()
    with pytest.raises(RegistryUnavailableError, match=silent_port):
        resolve("models:/cards@champion", silent_port)
    assert time.monotonic() - start < OUTAGE_LIMIT_S


def test_server_that_dies_in_the_middle_is_an_outage_of_ours(silent_port, monkeypatch):
    """The ping was answered, the next call was not."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("vae_anomaly.tracking.store.probe", lambda uri, store: None)
    with pytest.raises(RegistryUnavailableError, match=silent_port):
        resolve("models:/cards@champion", silent_port)
