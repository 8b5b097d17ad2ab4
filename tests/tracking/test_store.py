"""Which store is used, and what happens to MLflow's global state."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae_anomaly.errors import ConfigError, RegistryUnavailableError, StorageError
from vae_anomaly.tracking import init_store, tracking_uri
from vae_anomaly.tracking.store import displayed, quiet, session

OPEN_IT = "import sys; from vae_anomaly.tracking import init_store; init_store(sys.argv[1])"


def test_default_store_is_sqlite_in_the_working_directory(tmp_path):
    assert tracking_uri() == f"sqlite:///{tmp_path / 'vae-anomaly-store' / 'mlflow.db'}"


def test_environment_names_the_store_and_the_argument_wins(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000/")
    assert tracking_uri() == "http://mlflow.example:5000"
    assert tracking_uri("sqlite:////data/mlflow.db") == "sqlite:////data/mlflow.db"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/data/store", "sqlite:////data/store/mlflow.db"),
        ("postgresql://host/mlflow", "postgresql://host/mlflow"),
        ("databricks", "databricks"),
    ],
    ids=["folder", "database", "databricks"],
)
def test_a_folder_stands_for_the_store_in_it_and_other_uris_stay(given, meant):
    assert tracking_uri(given) == meant


def test_relative_sqlite_uri_becomes_absolute(tmp_path):
    assert tracking_uri("sqlite:///a.db") == f"sqlite:///{tmp_path / 'a.db'}"


def test_file_uri_is_refused_with_a_remedy():
    with pytest.raises(ConfigError, match="sqlite:///PATH"):
        tracking_uri("file:///data/mlruns")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:secret@mlflow.example/x", "https://mlflow.example/x"),
        ("postgresql://me:sec/ret@host:5432/db", "postgresql://host:5432/db"),
        ("postgresql://me:se@cr/et@host/db", "postgresql://host/db"),
        ("https://h/x?api_token=secret&a=1", "https://h/x?api_token=***&a=1"),
        ("postgresql://h/db?user=me&password=secret", "postgresql://h/db?user=me&password=***"),
        ("http://host:5000/path@here", "http://host:5000/path@here"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_credentials_are_not_displayed(uri, shown):
    assert displayed(uri) == shown


def test_session_leaves_the_callers_store_alone(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    with session(store):
        import mlflow

        assert mlflow.get_tracking_uri() == store
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://mlflow.example:5000"


def test_session_switches_pickle_off_and_bounds_the_wait(store):
    with session(store):
        assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
        assert int(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) <= 10
        assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 2


def test_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mlflow.db").write_bytes(b"no database at all, but long enough" * 50)
    with pytest.raises(RegistryUnavailableError, match=r"bad/mlflow\.db"):
        init_store(tmp_path / "bad")


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="--tracking-uri"):
        init_store(tmp_path / "file" / "store")


def test_two_processes_open_a_new_store_at_once(tmp_path):
    """Without the lock one of them breaks the database for good."""
    command = [sys.executable, "-W", "ignore", "-c", OPEN_IT, str(tmp_path / "new")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert Path(tmp_path / "new" / "mlflow.db").is_file()


def test_importing_tracking_and_batch_loads_neither_mlflow_nor_torch():
    code = (
        "import sys, vae_anomaly.tracking, vae_anomaly.batch; "
        "sys.exit(bool({'mlflow', 'torch'} & sys.modules.keys()))"
    )
    finished = subprocess.run([sys.executable, "-c", code], check=False)
    assert finished.returncode == 0


def test_an_mlflow_that_was_imported_before_is_muted_only_while_it_is_used(caplog):
    chatty = logging.getLogger("mlflow.pyfunc")
    with caplog.at_level(logging.INFO, logger="mlflow"):
        with quiet():
            chatty.info("validating")
        chatty.info("said by the user's own code")
    assert [record.message for record in caplog.records] == ["said by the user's own code"]
