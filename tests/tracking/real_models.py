"""Small real detectors and a migrated MLflow store, made once a test run and then copied."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image, ImageDraw

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, load_detector
from vae_anomaly.persistence import read_model
from vae_anomaly.tracking import RegisteredModel, init_store, log_training
from vae_anomaly.tracking.package import write_package
from vae_anomaly.tracking.store import quiet

SIDE = 64


def transactions(n: int, seed: int) -> pd.DataFrame:
    """Rows of one day: id, amount, merchant, online, when."""
    rng = np.random.default_rng(seed)
    seconds = pd.to_timedelta(rng.integers(0, 86_400, n), unit="s")
    return pd.DataFrame(
        {
            "id": [f"t{seed}-{i}" for i in range(n)],
            "amount": rng.gamma(2.0, 20.0, n).round(2),
            "merchant": rng.choice(["grocery", "fuel", "books"], n),
            "online": rng.random(n) < 0.3,
            "when": pd.Timestamp("2026-01-01") + seconds,
        }
    )


def write_days(folder: Path) -> Path:
    """Write three days of transactions, one parquet file each."""
    folder.mkdir()
    for day in (1, 2, 3):
        transactions(60, seed=day).to_parquet(folder / f"2026-01-0{day}.parquet")
    return folder


def mixed_rows(n: int, seed: int) -> pd.DataFrame:
    """Rows with a column of each kind, and of each way in which training data may hold it."""
    rng = np.random.default_rng(seed)
    seconds = rng.integers(0, 20 * 86_400, n)
    times = pd.Timestamp("2026-01-01") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "amount": rng.gamma(2.0, 20.0, n).round(2),
            "shop": rng.choice(["market", "fuel", "books"], n),
            "code": rng.choice(["007", "107", "019"], n),
            "country": rng.choice(["DE", "NA", "FR"], n),
            "paid": rng.integers(0, 2, n),
            "online": rng.random(n) < 0.3,
            "when": times,
            "written": (times + pd.Timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S"),
            "seen": 1_770_000_000 + seconds,
        }
    )


def surface(seed: int, *, hole: bool = False) -> Image.Image:
    """A grey surface, with a dark hole where asked for."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.normal(120.0, 6.0, (SIDE, SIDE)).clip(0, 255).astype(np.uint8))
    if hole:
        ImageDraw.Draw(image).ellipse((20, 20, 42, 42), fill=0)
    return image


def write_surfaces(
    folder: Path, count: int, *, first: int = 0, holes: tuple[int, ...] = ()
) -> Path:
    """Write PNG files 000.png, 001.png, ...; those numbered in ``holes`` are defective."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        surface(first + number, hole=number in holes).save(folder / f"{number:03d}.png")
    return folder


def made_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """Make a folder once for all tests and all worker processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    target = shared / "vae-anomaly-shared" / name
    target.parent.mkdir(exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            make(target)
    return target


def _train_table(target: Path) -> None:
    detector = TabularVAEDetector(preset="fast", max_steps=30, random_state=0)
    detector.fit(transactions(400, seed=0)).save(target)


def _train_mixed(target: Path) -> None:
    kinds = {"seen": "timestamp"}
    detector = TabularVAEDetector(preset="fast", max_steps=30, random_state=0, column_kinds=kinds)
    saved = detector.fit(mixed_rows(400, seed=0)).save(target / "model")
    with quiet():
        write_package(saved, read_model(saved), target / "package")


def _train_images(target: Path) -> None:
    images = np.stack([np.asarray(surface(1000 + seed)) for seed in range(120)])
    ImageVAEDetector(image_size=SIDE, preset="fast", random_state=0).fit(images).save(target)


@pytest.fixture(scope="session")
def table_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a fitted TabularVAEDetector; not to be written to."""
    return made_once(tmp_path_factory, "table-model", _train_table)


@pytest.fixture(scope="session")
def mixed_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with "model" and MLflow's "package" of a detector of `mixed_rows`; read only."""
    return made_once(tmp_path_factory, "mixed-model", _train_mixed)


@pytest.fixture(scope="session")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a fitted ImageVAEDetector; not to be written to."""
    return made_once(tmp_path_factory, "image-model", _train_images)


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an empty store whose tables exist; not to be written to."""
    return made_once(tmp_path_factory, "store", init_store)


@pytest.fixture
def store(migrated_store: Path, tmp_path: Path) -> str:
    """Tracking URI of an empty store of this test alone."""
    shutil.copytree(migrated_store, tmp_path / "store")
    return f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}"


@pytest.fixture(scope="session")
def registered_store(
    migrated_store: Path, table_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of a store with the table model as cards/1, champion; not to be written to."""

    def register(target: Path) -> None:
        shutil.copytree(migrated_store, target)
        made = log_training(load_detector(table_model), name="cards", uri=target, alias="champion")
        (target / "registered.json").write_text(json.dumps(asdict(made)))

    return made_once(tmp_path_factory, "registered-store", register)


@pytest.fixture
def registered(registered_store: Path, store: str) -> RegisteredModel:
    """The table model in this test's own store, as cards version 1, alias champion."""
    folder = copy_store(registered_store, Path(store.removeprefix("sqlite:///")).parent)
    told = json.loads((folder / "registered.json").read_text())
    return replace(RegisteredModel(**told), store=store)


def copy_store(source: Path, target: Path) -> Path:
    """Copy a store that has models; what is done to the copy is not done to the original."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    _move(target / "mlflow.db", str(source), str(target))
    return target


def _move(database: Path, old: str, new: str) -> None:
    """Tell a copied store where its artifacts are now."""
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        for table in tables:
            for _, column, kind, *_ in connection.execute(
                f"PRAGMA table_info('{table}')"
            ).fetchall():
                if kind.startswith(("VARCHAR", "TEXT")):
                    connection.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) '  # noqa: S608  # names from the schema itself
                        f'WHERE instr("{column}", ?)',
                        (old, new, old),
                    )


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep fetched models in the folder of this test."""
    monkeypatch.setenv("VAE_ANOMALY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
