"""Made-up tables and images of `same_scores.py`, and how what a detector says becomes files.

Floats are written as hexadecimal text or as the bytes of an array, so that equal files mean equal
bits. Nothing here imports the package: both checkouts get the same inputs.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Images = NDArray[Any]

# ---------------------------------------------------------------------- tables


def payments(n: int, seed: int) -> pd.DataFrame:
    """Return payments with every kind of column: their amounts depend on trade and card."""
    rng = np.random.default_rng(seed)
    trade = rng.choice(["grocery", "fuel", "travel"], n, p=[0.6, 0.3, 0.1])
    usual = pd.Series(trade).map({"grocery": 50.0, "fuel": 70.0, "travel": 900.0}).to_numpy()
    card = rng.integers(0, 12, n)
    seconds = np.sort(rng.integers(0, 28 * 86_400, n))
    shop = np.minimum(rng.zipf(1.4, n), 60)
    frame = pd.DataFrame(
        {
            "id": [f"p{seed}-{i}" for i in range(n)],
            "card": [f"card {c}" for c in card],
            "amount": usual * np.exp(0.3 * rng.normal(size=n)) * (1.0 + card % 3),
            "tip": np.where(rng.random(n) < 0.6, 0.0, rng.gamma(2.0, 2.0, n)),
            "items": rng.poisson(4, n).astype(float),
            "trade": pd.Series(trade, dtype=object),
            "shop": [f"shop {s}" for s in shop],
            "chip": rng.random(n) < 0.9,
            "paid_at": pd.Timestamp("2026-01-05") + pd.to_timedelta(seconds, unit="s"),
        }
    )
    frame.loc[rng.random(n) < 0.05, "items"] = np.nan
    frame.loc[rng.random(n) < 0.03, "trade"] = None
    frame.loc[rng.random(n) < 0.02, "paid_at"] = pd.NaT
    return frame


def strange_payments(n: int = 40, seed: int = 900) -> pd.DataFrame:
    """Return rows to score, a dozen of them strange in one way each."""
    rows = payments(n, seed)
    rows.loc[0, "amount"] = 40_000.0
    rows.loc[1, "trade"] = "casino"
    rows.loc[2, "paid_at"] = pd.Timestamp("2026-02-03 03:12")
    rows.loc[3, ["amount", "tip", "items"]] = np.nan
    rows.loc[4, "shop"] = "shop nobody knows"
    rows.loc[5, "items"] = 60.0
    rows.loc[6, "tip"] = 400.0
    rows.loc[7, "amount"] = 0.01
    rows.loc[8, "chip"] = not rows.loc[8, "chip"]
    rows.loc[9, ["trade", "amount"]] = ["travel", 45.0]
    rows.loc[10, "paid_at"] = pd.Timestamp("2031-07-01")
    rows.loc[11, ["amount", "items"]] = [9_000.0, 30.0]
    return rows


def card_payments(first_day: int, days: int = 1, per_day: int = 60) -> pd.DataFrame:
    """Return payments of ten cards, each of its own level, to be compared with their past."""
    rng = np.random.default_rng(first_day)
    n = days * per_day
    card = rng.integers(0, 10, n)
    seconds = np.sort(rng.integers(0, days * 86_400, n))
    return pd.DataFrame(
        {
            "id": [f"p{first_day}-{i}" for i in range(n)],
            "card": [f"card {c}" for c in card],
            "at": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(first_day * 86_400 + seconds, unit="s"),
            "euro": (rng.gamma(9.0, 1.0, n) * 3.0 ** (card % 5)).round(2),
        }
    )


def numbers(n: int, seed: int, width: int = 4) -> NDArray[np.float64]:
    """Return correlated numbers (n, width), a few of them missing."""
    rng = np.random.default_rng(seed)
    loading = np.resize([1.0, 2.0, -1.0, 0.5], width)
    values = rng.normal(size=(n, 1)) * loading + 0.1 * rng.normal(size=(n, width))
    values[rng.random((n, width)) < 0.01] = np.nan
    return values


def strange_numbers(seed: int = 901, width: int = 4) -> NDArray[np.float64]:
    values = numbers(40, seed, width)
    values[:10] *= np.resize([1.0, -1.0, 1.0, 1.0], width)
    values[10, 0] = 50.0
    values[11] = 0.0
    return values


def words(n: int, seed: int) -> pd.DataFrame:
    """Return rows of categories alone, the third of which follows from the first two."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, n), rng.integers(0, 3, n)
    c = np.where(rng.random(n) < 0.9, (a + b) % 5, rng.integers(0, 5, n))
    frame = pd.DataFrame({"a": a, "b": b, "c": c}).apply(lambda s: s.map(lambda v: f"{s.name}{v}"))
    return frame.assign(ok=rng.random(n) < 0.8)


def strange_words() -> pd.DataFrame:
    rows = words(40, 902)
    rows.loc[0, "a"] = "a9"
    rows.loc[1, "c"] = None
    rows.loc[2:9, "c"] = "c4"
    return rows


# ---------------------------------------------------------------------- images


def plates(n: int, seed: int, *, size: tuple[int, int] = (96, 96), colour: bool = False,
           most: int = 0, uniform: bool = False) -> Images:  # fmt: skip
    """Return brushed plates with a few parts, uint8 (n, H, W) or (n, H, W, 3).

    ``most`` moves the parts by up to so many pixels; ``uniform`` puts them on a plain background.
    """
    plan, rng = np.random.default_rng(5), np.random.default_rng(seed)
    height, width = size
    base = np.full(size, 0.2 if uniform else 0.5)
    margin = (height // 4, width // 4) if uniform else (most + 2, most + 2)
    for _ in range(14):
        y = plan.integers(margin[0], height - margin[0] - 6)
        x = plan.integers(margin[1], width - margin[1] - 6)
        h, w = plan.integers(5, 16, 2)
        base[y : min(y + h, height - margin[0]), x : min(x + w, width - margin[1])] = (
            plan.uniform(0.55, 0.95) if uniform else plan.uniform(0.2, 0.9)
        )
    made = []
    for _ in range(n):
        shift = tuple(rng.integers(-most, most + 1, 2)) if most else (0, 0)
        noise = ndimage.gaussian_filter(rng.normal(size=size), (0.5, 3.0))
        plate = np.roll(base, shift, (0, 1)) + (0.01 if uniform else 0.08) * noise
        plate = plate * rng.uniform(0.93, 1.07)
        if colour:
            plate = plate[..., None] * np.array([1.0, 0.8, 0.55]) * rng.uniform(0.95, 1.05, 3)
        made.append(np.clip(plate * 255.0, 0, 255).astype(np.uint8))
    return np.stack(made)


def spoilt(images: Images, every: int = 2) -> Images:
    """Return the images, every second of them with one defect: a hole, a stripe, or darkness."""
    broken, rng = images.copy(), np.random.default_rng(7)
    height, width = images.shape[1:3]
    y, x = np.mgrid[:height, :width]
    for number, image in enumerate(broken):
        if number % every:
            continue
        cy, cx = rng.integers(height // 3, 2 * height // 3), rng.integers(width // 3, width // 2)
        kind = number // every % 3
        if kind == 0:
            image[np.hypot(y - cy, x - cx) < 7] //= 4
        elif kind == 1:
            image[abs(y - cy) < 2] = np.iinfo(image.dtype).max
        else:
            image[...] = (image * 0.6).astype(image.dtype)
    return broken


def discs_and_squares(n: int, seed: int) -> tuple[Images, list[str]]:
    """Return n bright discs and n dark squares (2n, 64, 64), and which is which."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    disc = 0.3 + 0.5 * (np.hypot(y - 32, x - 32) < 18)
    square = 0.7 - 0.55 * ((abs(y - 32) < 14) & (abs(x - 32) < 14))
    base = np.concatenate([np.repeat(disc[None], n, 0), np.repeat(square[None], n, 0)])
    light = rng.uniform(0.97, 1.03, (2 * n, 1, 1))
    images = base * light + rng.normal(0.0, 0.03, base.shape)
    return np.clip(images * 255.0, 0, 255).astype(np.uint8), ["disc"] * n + ["square"] * n


def write_images(folder: Path, images: Images, names: list[str] | None = None) -> list[Path]:
    """Write PNG files part-000.png, ..., each in the folder of its name where names are given."""
    paths = []
    for number, image in enumerate(images):
        path = folder / (names[number] if names else "") / f"part-{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        paths.append(path)
    return paths


# ---------------------------------------------------------------------- files


def keep(folder: Path, name: str, value: Any) -> None:
    """Write one answer: an array as .npy, text as .txt, all else as .json."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "masks" and len({mask.shape for mask in value}) == 1:
        value = np.stack(value)
    if isinstance(value, np.ndarray) and value.dtype != object:
        np.save(folder / f"{name}.npy", value)
    elif isinstance(value, str):
        (folder / f"{name}.txt").write_text(value, encoding="utf-8")
    else:
        text = json.dumps(plain(value), indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def plain(value: Any) -> Any:
    """Return a value as JSON knows it, every float as hexadecimal text."""
    if isinstance(value, pd.DataFrame):
        columns = {str(name): plain(value[name]) for name in value.columns}
        return {"columns": columns, "index": [plain(key) for key in value.index]}
    if isinstance(value, pd.Series):
        return {"dtype": str(value.dtype), "values": [plain(cell) for cell in value]}
    if isinstance(value, np.ndarray):
        flat = [plain(cell) for cell in value.ravel()]
        return {"dtype": str(value.dtype), "shape": list(value.shape), "values": flat}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value.hex()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
