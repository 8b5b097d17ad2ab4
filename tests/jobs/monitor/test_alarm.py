"""An alarm reaches a web address, tries again what may pass, and never shows a secret."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vae_anomaly.errors import AlarmUndeliveredError, ConfigError
from vae_anomaly.jobs.monitor import alarm
from vae_anomaly.jobs.monitor.alarm import post_webhook, run_alarm_command, shown_host

Handler = Callable[[BaseHTTPRequestHandler], None]
SECRET = "hunter22"  # noqa: S105 - that must not be shown


@pytest.fixture
def hook(monkeypatch) -> Iterator[Callable[[Handler], str]]:
    """Start a server that answers a POST as told; returns its address, which holds secrets."""
    monkeypatch.setattr(alarm, "_WAITS_S", (0.01, 0.01, 0.01))
    servers = []

    def start(answer: Handler) -> str:
        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://ada:{SECRET}@127.0.0.1:{server.server_port}/hook/{SECRET}?token={SECRET}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def statuses(*codes: int, taken: list[object] | None = None) -> Handler:
    left = list(codes)

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if taken is not None:
            taken.append((request.path, request.headers["Authorization"], json.loads(body)))
        request.send_response(left.pop(0))
        request.send_header("Location", "http://127.0.0.1:9/elsewhere")
        request.end_headers()

    return answer


def test_a_server_in_trouble_is_tried_again(hook):
    taken: list[object] = []
    post_webhook(hook(statuses(503, 429, 200, taken=taken)), {"nights": [1]})
    assert len(taken) == 3
    path, credentials, document = taken[-1]
    assert path == f"/hook/{SECRET}?token={SECRET}"
    assert credentials.startswith("Basic ")
    assert document == {"nights": [1]}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (statuses(404), "does not take the alarm: status 404"),
        (statuses(302), "status 302"),
        (statuses(500, 500, 500, 500), "did not take the alarm within 5 s: status 500"),
    ],
    ids=["refused", "redirected", "in trouble for good"],
)
def test_what_is_refused_is_told_without_the_address(hook, answer, told):
    with pytest.raises(AlarmUndeliveredError, match=told) as caught:
        post_webhook(hook(answer), {}, deadline_s=5)
    assert SECRET not in str(caught.value)
    assert "ada" not in str(caught.value)


def test_a_server_that_drips_is_given_up(hook):
    def drip(request: BaseHTTPRequestHandler) -> None:
        for _ in range(50):
            request.wfile.write(b"H")
            request.wfile.flush()
            time.sleep(0.05)

    with pytest.raises(AlarmUndeliveredError, match="no answer within"):
        post_webhook(hook(drip), {}, deadline_s=0.3)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "hooks.example", "http://", "http://a b"])
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(ConfigError, match="no web address"):
        shown_host(url)


@pytest.mark.skipif(os.name != "posix", reason="groups of processes are those of POSIX")
def test_what_a_command_has_started_ends_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(alarm, "COMMAND_S", 0.5)
    fifo = tmp_path / "child"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    # the child holds the other end open for as long as it lives
    command = f"sh -c 'sleep 600 > {fifo} & echo x > {tmp_path}/begun; wait'"
    with pytest.raises(AlarmUndeliveredError, match="with all that it started"):
        run_alarm_command(command, {"nights": []}, [])
    assert (tmp_path / "begun").exists()
    os.set_blocking(reading, True)
    assert os.read(reading, 1) == b""  # nobody holds it: the child is gone
    os.close(reading)


def test_what_a_command_reads_is_the_document(tmp_path):
    run_alarm_command(f"sh -c 'cat > {tmp_path}/got'", {"nights": [1]}, [])
    assert json.loads((tmp_path / "got").read_text()) == {"nights": [1]}
    with pytest.raises(AlarmUndeliveredError, match="ended with 3"):
        run_alarm_command("sh -c 'exit 3'", {}, [])
