"""A password in the address of a store is shown nowhere: no message, log, hint or file has it."""

from __future__ import annotations

import logging
import socket

import pytest

CANARY = "canary4711"
ADDRESSES = [
    f"http://me:{CANARY}@127.0.0.1:PORT",
    f"http://127.0.0.1:PORT/?token={CANARY}",
    f"postgresql+pg8000://me:can/ary{CANARY}@127.0.0.1:PORT/db",
    f"postgresql+pg8000://127.0.0.1:PORT/db?user=me&password={CANARY}",
]


@pytest.fixture
def address(request) -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return request.param.replace("PORT", str(free.getsockname()[1]))


@pytest.mark.parametrize(
    "address", ADDRESSES, indirect=True, ids=["http", "query", "db", "db query"]
)
@pytest.mark.parametrize(
    "words",
    [
        ["models", "list"],
        ["score", "table", "models:/cards@champion", "ROWS", "--out", "flags", "--log-json"],
        ["train", "table", "ROWS", "--name", "cards", "--preset", "fast"],
        ["report", "models:/cards@champion"],
    ],
    ids=["list", "score", "train", "report"],
)
def test_a_password_is_shown_nowhere(call, rows, tmp_path, monkeypatch, caplog, words, address):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    words = [str(rows) if word == "ROWS" else word for word in words]
    with caplog.at_level(logging.DEBUG, logger="vae_anomaly"):
        code, out, err = call(*words, "--tracking-uri", address)
    assert code in {2, 69}, err  # 2 where the driver of the database is not installed
    assert err
    assert CANARY not in out + err + caplog.text
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
