"""Fixtures of the tests of the batch scorer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from batch.entity_nights import card_model, write_nights  # noqa: F401 - a fixture
from tracking.real_models import (  # noqa: F401 - fixtures
    image_model,
    migrated_store,
    own_cache,
    registered,
    registered_store,
    store,
    table_model,
    write_days,
)

from vae_anomaly.files import sha256_of


@pytest.fixture(autouse=True)
def _stand_in_a_folder_of_their_own(tmp_path, monkeypatch, own_cache):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """A folder of three days of transactions, one parquet file each."""
    return write_days(tmp_path / "days")


@pytest.fixture
def hashes() -> Callable[[Path], dict[str, str]]:
    """SHA-256 of everything that a run wrote for readers, by path; a summary tells the time."""

    def of(out: Path) -> dict[str, str]:
        kept = [
            p
            for p in out.rglob("*")
            if p.is_file() and not p.name.startswith((".", "ledger", "summary"))
        ]
        return {str(path.relative_to(out)): sha256_of(path) for path in sorted(kept)}

    return of


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    """A folder of the three nights after that model's training."""
    return write_nights(tmp_path / "nights")
