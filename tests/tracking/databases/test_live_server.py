"""The life of a model on a real MLflow server over SQLite, artifacts over HTTP."""

from __future__ import annotations

import shutil

from tracking.live_server import LiveServer
from tracking.model_life import live


def test_a_model_lives_on_a_server_over_sqlite(
    migrated_store, say, tmp_path, tmp_path_factory, monkeypatch
):
    home = tmp_path_factory.mktemp("mlflow")
    shutil.copyfile(migrated_store / "mlflow.db", home / "mlflow.db")
    server = LiveServer(home, f"sqlite:///{home / 'mlflow.db'}")
    server.start()
    try:
        live(server, say, tmp_path, monkeypatch)
    finally:
        server.kill()
