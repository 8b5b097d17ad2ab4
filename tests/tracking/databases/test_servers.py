"""Database servers that are away, or that several processes begin with at once."""

from __future__ import annotations

import pytest

from vae_anomaly.errors import RegistryUnavailableError
from vae_anomaly.tracking.databases.servers import open_server, require_listening


def test_a_server_at_which_nobody_listens_is_given_up_at_once_without_its_password():
    pytest.importorskip("pg8000")
    with pytest.raises(RegistryUnavailableError, match="does not answer") as told:
        require_listening("postgresql+pg8000://me:canary@127.0.0.1:9/db")
    assert "canary" not in str(told.value)


def test_a_server_whose_host_is_not_told_is_left_to_its_driver():
    pytest.importorskip("pg8000")
    require_listening("postgresql+pg8000:///db")


def test_of_several_that_make_the_tables_of_a_server_the_losers_ask_again(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    asked: list[str] = []

    def make(uri: str) -> None:
        asked.append(uri)
        if len(asked) < 3:
            raise RuntimeError("relation alembic_version already exists")

    open_server("postgresql://host/mlflow", make)
    assert len(asked) == 3


def test_a_server_that_is_away_is_not_asked_again():
    def make(uri: str) -> None:
        raise ConnectionError("connection refused")

    with pytest.raises(ConnectionError):
        open_server("postgresql://host/mlflow", make)
