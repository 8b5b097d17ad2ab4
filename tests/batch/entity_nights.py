"""A small model that compares a payment with its card's own past, and nights to score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tracking.real_models import made_once

from vae_anomaly import TabularVAEDetector
from vae_anomaly.data.tables.entity_histories import EntityColumns
from vae_anomaly.jobs import Destination, TableColumns, train_table_job

DECLARED = EntityColumns(("card",), time="at", amount="euro")
FIRST = pd.Timestamp("2026-01-01")


def payments(first_day: int, days: int = 1, per_day: int = 60) -> pd.DataFrame:
    """Payments of ten cards, each of its own level."""
    rng = np.random.default_rng(first_day)
    n = days * per_day
    card = rng.integers(0, 10, n)
    seconds = np.sort(rng.integers(0, days * 86_400, n))
    return pd.DataFrame(
        {
            "id": [f"p{first_day}-{i}" for i in range(n)],
            "card": [f"card {c}" for c in card],
            "at": FIRST + pd.to_timedelta(first_day * 86_400 + seconds, unit="s"),
            "euro": (rng.gamma(9.0, 1.0, n) * 3.0 ** (card % 5)).round(2),
        }
    )


def train_model(folder: Path) -> None:
    """Train on days 0 to 11."""
    folder.mkdir()
    table = folder / "training.parquet"
    payments(0, 12).to_parquet(table)
    detector = TabularVAEDetector(max_steps=30, preset="fast", random_state=0)
    where = Destination(folder=folder / "model")
    train_table_job(detector, table, where, TableColumns(id_column="id"), entities=DECLARED)


@pytest.fixture(scope="session")
def card_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that compares each payment with its card's past; not to be written to."""
    return made_once(tmp_path_factory, "cards", train_model) / "model"


def write_nights(folder: Path, days: tuple[int, ...] = (12, 13, 14)) -> Path:
    """Write a file for each night."""
    folder.mkdir(exist_ok=True)
    for day in days:
        payments(day).to_parquet(folder / f"night{day}.parquet")
    return folder
