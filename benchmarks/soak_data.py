"""The models and nights of `soak.py`: one item in a hundred is corrupt; what must come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from vae_anomaly import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.data.tables.entity_histories import EntityColumns
from vae_anomaly.jobs import Destination, TableColumns, train_table_job

SIDE = 64
FIRST = pd.Timestamp("2026-01-01")
CORRUPT = 100
"""One item of so many is corrupt."""


# ------------------------------------------------------------------ models


def train_table(folder: Path) -> Path:
    """Train a small model of payments."""
    detector = TabularVAEDetector(preset="fast", max_steps=30, random_state=0)
    return detector.fit(payments(0, 400)).save(folder)


def train_images(folder: Path) -> Path:
    """Train a small model of a grey surface."""
    images = np.stack([surface(seed) for seed in range(120)])
    detector = ImageVAEDetector(image_size=SIDE, preset="fast", random_state=0)
    return detector.fit(images).save(folder)


def train_cards(folder: Path) -> Path:
    """Train a small model that compares a payment with its card's own past."""
    table = folder.with_suffix(".parquet")
    pd.concat([payments(day, 60) for day in range(12)]).to_parquet(table)
    detector = TabularVAEDetector(preset="fast", max_steps=30, random_state=0)
    entities = EntityColumns(("card",), time="at", amount="euro")
    columns = TableColumns(id_column="id")
    train_table_job(detector, table, Destination(folder=folder), columns, entities=entities)
    return folder


# ------------------------------------------------------------------ nights


def payments(day: int, n: int) -> pd.DataFrame:
    """Return the payments of one day, of twenty cards, in the order of time."""
    rng = np.random.default_rng(day)
    card = rng.integers(0, 20, n)
    seconds = day * 86_400 + np.sort(rng.integers(0, 86_400, n))
    return pd.DataFrame(
        {
            "id": [f"p{day}-{i}" for i in range(n)],
            "card": [f"card {c}" for c in card],
            "at": FIRST + pd.to_timedelta(seconds, unit="s"),
            "euro": (rng.gamma(9.0, 1.0, n) * 3.0 ** (card % 5)).round(2),
            "online": rng.random(n) < 0.3,
        }
    )


def write_tables(
    folder: Path, days: range, n_rows: int, *, seed: int, csv_every: int = 4
) -> dict[str, list[str]]:
    """Write a file for each day; return by file the ids that come out, scored or in quarantine.

    One row of a hundred has an infinite amount, no name, or that of an earlier row; in CSV files
    also a word for an amount, or cells too many. The file in the middle is a parquet file that was
    cut short: of its rows nothing comes out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ids: dict[str, list[str]] = {}
    for day in days:
        frame = payments(day, n_rows)
        if day == days[len(days) // 2]:
            _write_half(frame, folder / f"day{day:03d}.parquet")
            continue
        is_csv = csv_every > 0 and day % csv_every == csv_every - 1
        path = folder / f"day{day:03d}.{'csv' if is_csv else 'parquet'}"
        bad = np.sort(rng.choice(np.arange(1, n_rows), max(n_rows // CORRUPT, 1), replace=False))
        ids[path.name] = (_write_csv if is_csv else _write_parquet)(frame, path, bad.tolist())
    return ids


def _write_half(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _write_parquet(frame: pd.DataFrame, path: Path, bad: list[int]) -> list[str]:
    ids = frame["id"].tolist()
    names: list[str | None] = [*ids]
    for k, row in enumerate(bad):
        _spoil(frame, names, ids, path, row, ("infinite", "nameless", "twice")[k % 3])
    frame["id"] = names
    frame.to_parquet(path)
    return ids


def _write_csv(frame: pd.DataFrame, path: Path, bad: list[int]) -> list[str]:
    ids = frame["id"].tolist()
    names: list[str | None] = [*ids]
    longer: list[int] = []
    frame["euro"] = frame["euro"].astype(object)
    for k, row in enumerate(bad):
        kind = ("word", "ragged", "twice")[k % 3]
        if kind == "ragged":
            longer.append(row)
            ids[row] = f"{path.name}#{row + 1}"
        else:
            _spoil(frame, names, ids, path, row, kind)
    frame["id"] = names
    lines = frame.to_csv(index=False).splitlines()
    for row in longer:
        lines[row + 1] += ",one,more"
    path.write_text("\n".join(lines) + "\n")
    return ids


def _spoil(
    frame: pd.DataFrame, names: list[str | None], ids: list[str], path: Path, row: int, kind: str
) -> None:
    """Make one row bad; keep in ``ids`` what it is called in quarantine."""
    if kind == "infinite":
        frame.loc[row, "euro"] = np.inf
    elif kind == "word":
        frame.loc[row, "euro"] = "a lot"
    elif kind == "twice":
        names[row] = ids[row] = ids[0]
    else:
        names[row], ids[row] = None, f"{path.name}#{row + 1}"


def surface(seed: int, *, hole: bool = False) -> np.ndarray:
    """Return a grey surface, with a dark hole where asked for."""
    image = np.random.default_rng(seed).normal(120.0, 6.0, (SIDE, SIDE)).clip(0, 255)
    if hole:
        image[20:42, 20:42] = 0
    return image.astype(np.uint8)


def write_images(folder: Path, n_folders: int, n_images: int, *, seed: int) -> dict[str, list[str]]:
    """Write images; return by folder the ids that come out, scored or in quarantine.

    One of a hundred is cut short, is empty or is no image; one of twenty has a hole.
    """
    ids: dict[str, list[str]] = {}
    for number in range(n_folders * n_images):
        cam = folder / f"cam{number // n_images}"
        cam.mkdir(parents=True, exist_ok=True)
        path = cam / f"{number:04d}.png"
        Image.fromarray(surface(10_000 * seed + number, hole=number % 20 == 7)).save(path)
        ids.setdefault(cam.name, []).append(path.relative_to(folder).as_posix())
    names = [name for inside in ids.values() for name in inside]
    rng = np.random.default_rng(seed)
    bad = rng.choice(len(names), max(len(names) // CORRUPT, 4), replace=False)
    for number, place in enumerate(sorted(bad.tolist())):
        _corrupt(folder / names[place], number)
    return ids


def _corrupt(path: Path, seed: int) -> None:
    content = path.read_bytes()
    noise = np.random.default_rng(seed).bytes(len(content))
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: content[: len(content) // 2],
        lambda: noise,
        lambda: content[:-20],
        lambda: b"",
    )
    path.write_bytes(kinds[seed % len(kinds)]())
