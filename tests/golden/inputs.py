"""Small tables and images that golden models are trained with, and asked about.

What models are asked about is stored beside them: nothing here has to be the same for ever.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

FIRST = pd.Timestamp("2026-01-01")


# ---------------------------------------------------------------------- tables


def payments(n: int, seed: int) -> pd.DataFrame:
    """Return mixed columns: number, category, boolean and time, with cells that are missing."""
    rng = np.random.default_rng(seed)
    shop = rng.choice(["grocery", "fuel", "books"], n, p=[0.6, 0.3, 0.1])
    level = np.select([shop == "grocery", shop == "fuel"], [3.0, 4.0], 2.5)
    amount = np.exp(level + 0.3 * rng.normal(size=n)).round(2)
    rows = pd.DataFrame(
        {
            "amount": amount,
            "points": (amount / 10 + rng.normal(size=n)).round(1),
            "shop": shop.astype(object),
            "online": (rng.random(n) < 0.3).astype(object),
            "when": FIRST + pd.to_timedelta(rng.integers(0, 30 * 86_400, n), unit="s"),
        }
    )
    for name in rows:
        rows.loc[rng.random(n) < 0.04, name] = None
    return rows


def strange_payments() -> pd.DataFrame:
    """Return five usual payments, and four of which a cell, a pair or a gap is strange."""
    rows = payments(9, 101)
    rows.loc[5, ["amount", "points"]] = [900.0, 2.0]
    rows.loc[6, ["shop", "online"]] = ["casino", True]
    rows.loc[7, "when"] = pd.Timestamp("2027-06-01 04:00:00")
    rows.loc[8, ["amount", "points", "shop", "online", "when"]] = None
    return rows


def readings(n: int, seed: int) -> pd.DataFrame:
    """Return four readings of one quantity."""
    rng = np.random.default_rng(seed)
    quantity = rng.normal(size=(n, 1)) * [1.0, 2.0, -1.0, 0.5]
    return pd.DataFrame(quantity + 0.1 * rng.normal(size=(n, 4)), columns=list("abcd"))


def strange_readings() -> pd.DataFrame:
    """Return four usual rows, a pair with the wrong sign, one far off and one with a gap."""
    rows = readings(7, 102)
    rows.loc[4, "b"] = -3.0 * np.sign(rows.loc[4, "a"])
    rows.loc[5] = [6.0, 11.0, -7.0, 2.0]
    rows.loc[6, "c"] = None
    return rows


def presses(n: int, seed: int) -> pd.DataFrame:
    """Return parts of two products, each pressed with settings of its own."""
    rng = np.random.default_rng(seed)
    b, heat = rng.random(n) < 0.5, rng.normal(size=n)
    force = np.where(b, 2.0 - 0.2 * heat, 5.0 + 0.5 * heat) + 0.05 * rng.normal(size=n)
    temperature = np.where(b, 80.0 + 6.0 * heat, 20.0 + 2.0 * heat)
    product = np.where(b, "B", "A").astype(object)
    return pd.DataFrame({"temperature": temperature, "force": force, "product": product})


def strange_presses() -> pd.DataFrame:
    """Return four usual parts, two with settings of the other product, one of a new product."""
    rows = presses(7, 103)
    rows.loc[[4, 5], "product"] = rows.loc[[4, 5], "product"].map({"A": "B", "B": "A"})
    rows.loc[6, "product"] = "C"
    return rows


def customers(n: int, seed: int) -> pd.DataFrame:
    """Return readings of customers, six rows each, the last three percent of them broken."""
    rows = readings(n, seed)
    rows.loc[n - n // 33 :, "b"] = 8.0
    return rows.assign(customer=np.arange(n) // 6)


def cards(first_day: int, days: int, per_day: int = 24) -> pd.DataFrame:
    """Return payments of four cards, each of its own level."""
    rng = np.random.default_rng(first_day)
    n = days * per_day
    card = rng.integers(0, 4, n)
    seconds = first_day * 86_400 + np.sort(rng.integers(0, days * 86_400, n))
    return pd.DataFrame(
        {
            "id": [f"p{first_day}-{i}" for i in range(n)],
            "card": [f"card {c}" for c in card],
            "at": FIRST + pd.to_timedelta(seconds, unit="s"),
            "euro": (rng.gamma(9.0, 1.0, n) * 3.0**card).round(2),
        }
    )


def strange_cards() -> pd.DataFrame:
    """Return a night of eight payments; one is far above its card, one of a card never seen."""
    rows = cards(12, 1, per_day=8)
    rows.loc[3, "euro"] = 5_000.0
    rows.loc[6, "card"] = "card 9"
    return rows


# ---------------------------------------------------------------------- images


def discs(n: int, seed: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    """Return a bright disc on a darker, shaded ground, (n, *size), floats from 0 to 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    disc = np.hypot(y - size[0] / 2, x - size[1] / 2) < 18
    base = 0.35 + 0.1 * y / size[0] + 0.3 * disc
    light = rng.uniform(0.95, 1.05, (n, 1, 1))
    return np.clip(base * light + rng.normal(0.0, 0.02, (n, *size)), 0, 1)


def grey(n: int, seed: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    """Return discs, uint8."""
    return np.rint(255 * discs(n, seed, size)).astype(np.uint8)


def colour(n: int, seed: int) -> np.ndarray:
    """Return discs from a 12-bit camera in colour, (n, 64, 64, 3), uint16 up to 4095."""
    bands = [discs(n, seed + 10 * band) * weight for band, weight in enumerate((0.9, 0.6, 0.4))]
    images = 16 * np.rint(255 * np.stack(bands, axis=-1)).astype(np.uint16)  # few bytes once packed
    images[:, :2, :2] = 4095  # a lamp
    return images


def moved(n: int, seed: int) -> np.ndarray:
    """Return parts on an even ground that lie up to 4 pixels off, (n, 72, 72), uint8."""
    rng = np.random.default_rng(seed)
    part = np.full((72, 72), 0.75)
    part[20:52, 24:36] = part[42:52, 24:54] = 0.3
    images = [np.roll(part, rng.integers(-4, 5, 2), (0, 1)) for _ in range(n)]
    noisy = np.stack(images) + rng.normal(0.0, 0.01, (n, 72, 72))
    return np.rint(255 * np.clip(noisy, 0, 1)).astype(np.uint8)


def squares(n: int, seed: int) -> np.ndarray:
    """Return rough dark squares, another product than `discs`, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64]
    base = 0.7 - 0.5 * ((abs(y - 32) < 14) & (abs(x - 32) < 14))
    return np.rint(255 * np.clip(base + rng.normal(0.0, 0.03, (n, 64, 64)), 0, 1)).astype(np.uint8)


def spoilt(images: np.ndarray) -> np.ndarray:
    """Return the images; the second has a dark spot, and the third is too bright."""
    found, white = images.copy(), 4095 if images.dtype == np.uint16 else 255
    found[1, 30:40, 28:38] -= found[1, 30:40, 28:38] // 4
    found[2] = np.minimum(found[2] * 1.08, white).astype(images.dtype)
    return found


def write_products(folder: Path, n: int, seed: int, *, spoil: bool = False) -> Path:
    """Write PNG files of two products below folders of their names; spoilt: of a third, too."""
    made = {"disc": grey(n, seed), "square": squares(n, seed)}
    if spoil:
        made = {name: spoilt(images)[:2] for name, images in made.items()} | {"ring": made["disc"]}
        made["ring"] = made["ring"][2:]
    for product, images in made.items():
        (folder / product).mkdir(parents=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / product / f"{i}.png")
    return folder
