"""Fixtures of the tests of SQLite stores."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tracking.real_models import migrated_store, own_cache, table_model  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _stand_in_a_folder_of_their_own(tmp_path, monkeypatch, own_cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def say(capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return (exit code, stdout, stderr)."""
    from vae_anomaly.cli import main

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run
