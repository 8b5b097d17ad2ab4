"""Fixtures of the tests of SQLite stores."""

from __future__ import annotations

import pytest
from tracking.real_models import migrated_store, own_cache, table_model  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _stand_in_a_folder_of_their_own(tmp_path, monkeypatch, own_cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
