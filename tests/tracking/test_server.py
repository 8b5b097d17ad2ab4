"""A server that hangs or dies in the middle; `databases/` has the life of a model on a real one."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking import resolve

OUTAGE_LIMIT_S = 15.0


@pytest.fixture
def silent_port() -> Iterator[str]:
    """A port that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


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
