"""A finished run over three days, made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tracking.real_models import made_once, transactions, write_days

from vae_anomaly.batch import score_tables


@pytest.fixture(scope="session")
def scored_once(table_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with "days" and the results "out" of them, three rows not scored; read only."""

    def make(target: Path) -> None:
        target.mkdir()
        days = write_days(target / "days")
        bad = transactions(60, seed=2)
        bad.loc[:2, "amount"] = float("inf")
        bad.to_parquet(days / "2026-01-02.parquet")
        score_tables(table_model, days, target / "out", id_column="id", max_bad_fraction=0.5)

    return made_once(tmp_path_factory, "scored-days", make)


@pytest.fixture
def out(scored_once: Path, tmp_path: Path) -> Path:
    """A copy of those results."""
    return Path(shutil.copytree(scored_once / "out", tmp_path / "out"))
