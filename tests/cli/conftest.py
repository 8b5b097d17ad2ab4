"""Fixtures of the tests of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.evaluation_fixtures import (  # noqa: F401 - fixtures
    call,
    call_json,
)
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    migrated_store,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
    transactions,
    write_surfaces,
)

from vae_anomaly.tracking import register_directory


@pytest.fixture(autouse=True)
def _output_goes_into_a_pipe(monkeypatch):
    """Whatever terminal the tests run in, commands see none; a test may set COLUMNS itself."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def filled_store(migrated_store: Path, table_model: Path, tmp_path_factory) -> Path:
    """A store with versions 1 (champion) and 2 of the model cards; not to be written to."""
    folder = tmp_path_factory.mktemp("filled") / "store"
    shutil.copytree(migrated_store, folder)
    for alias in ("champion", None):
        register_directory(table_model, name="cards", alias=alias, evidence="first", uri=folder)
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A day of 300 transactions with an id column, as parquet."""
    path = tmp_path / "rows.parquet"
    transactions(300, seed=7).to_parquet(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of 24 images, of which number 5 has a hole."""
    return write_surfaces(tmp_path / "images", 24, first=40, holes=(5,))
