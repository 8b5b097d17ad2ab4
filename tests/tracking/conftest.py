"""Fixtures of the tests of tracking."""

from __future__ import annotations

import pytest
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    migrated_store,
    mixed_model,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
)


@pytest.fixture(autouse=True)
def _stand_in_a_folder_of_their_own(tmp_path, monkeypatch, own_cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
