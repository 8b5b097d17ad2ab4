"""Fixtures of the tests of tracking."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    migrated_store,
    own_cache,
    store,
    table_model,
)

from vae_anomaly import load_detector
from vae_anomaly.tracking import RegisteredModel, log_training


@pytest.fixture(autouse=True)
def _stand_in_a_folder_of_their_own(tmp_path, monkeypatch, own_cache):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def registered(store: str, table_model: Path) -> RegisteredModel:  # noqa: F811
    """A table model in the registry, version 1, alias champion."""
    return log_training(load_detector(table_model), name="cards", uri=store, alias="champion")
