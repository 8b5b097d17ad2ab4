"""Fixtures of the tests of the pipelines."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tracking.real_models import migrated_store, own_cache  # noqa: F401 - fixtures

import pipelines
from vae_anomaly.data.synthetic import write_surfaces, write_transactions


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of what `vae-anomaly demo` makes; not to be written to."""
    root = tmp_path_factory.mktemp("demo")
    write_surfaces(root / "images", 40, 4, 4, size=64, random_state=0)
    write_transactions(root / "transactions", 2_000, 20, random_state=0)
    return root


@pytest.fixture
def site(demo_data: Path, migrated_store: Path, tmp_path: Path, own_cache: Path) -> Path:
    """A folder with the shipped TOML files beside the demo's data and an empty store."""
    shutil.copytree(demo_data, tmp_path / "vae-anomaly-demo")
    shutil.copytree(migrated_store, tmp_path / "vae-anomaly-demo" / "store")
    (tmp_path / "pipelines").mkdir()
    for file in Path(pipelines.__file__).parent.glob("*.toml"):
        shutil.copy(file, tmp_path / "pipelines")
    return tmp_path
