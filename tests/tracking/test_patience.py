"""A server that sends one byte after the other is no answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import requests

from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking import resolve
from vae_anomaly.tracking.network.patience import bounded_answers

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
PAUSE_S = 0.02


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes, bytes, int], str]]:
    """Start servers that say something at once and then the same bytes again and again."""
    ended = threading.Event()
    listeners = []

    def start(at_once: bytes, drop: bytes, drops: int = 10**9) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer(client: socket.socket) -> None:
            with client:
                try:
                    client.recv(65536)
                    client.sendall(at_once)
                    for _ in range(drops):
                        if ended.wait(PAUSE_S):
                            return
                        client.sendall(drop)
                except OSError:  # the client has had enough
                    return

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    ended.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch):
    monkeypatch.setattr("vae_anomaly.tracking.network.patience.PATIENCE_S", 0.4)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.parametrize(
    ("at_once", "drop"),
    [(b"", b"x"), (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), (HEAD, b" ")],
    ids=["no headers", "headers without end", "a body"],
)
def test_a_server_that_drips_is_away(dripping, at_once, drop):
    url = dripping(at_once, drop)
    with pytest.raises(RegistryUnavailableError, match=f"{url} does not answer"):
        resolve("models:/cards@champion", url)


def test_a_server_that_drips_after_the_first_call_is_away(dripping, monkeypatch):
    monkeypatch.setattr("vae_anomaly.tracking.store.probe", lambda uri, store: None)
    url = dripping(HEAD, b" ")
    with pytest.raises(RegistryUnavailableError, match=f"{url} does not answer"):
        resolve("models:/cards@champion", url)


def test_what_goes_on_coming_may_take_its_time(dripping):
    size = 50 * 2_000  # 100 kB in a second; the patience for a drip ends before
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    with bounded_answers():
        answer = requests.get(dripping(head, b"x" * 2_000, 50), timeout=10)
    assert len(answer.content) == size


def test_afterwards_all_is_as_before(dripping):
    with bounded_answers():
        pass
    url = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n", b"x", 40)
    assert len(requests.get(url, timeout=10).content) == 40
