"""Payments whose columns depend on each other, and seven kinds of faults planted in one of them.

A payment's shop decides its category, and the category the usual amount, the number of items, how
it is paid and the hour; a delivery takes as long as its way is; and each card spends on a level of
its own. A fault leaves all other cells as they were, and these agree with each other: so what is
wrong is known. Of a correlation that is broken either column is a right cause.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools

CATEGORIES = ("bakery", "grocer", "fuel", "clothing", "electronics", "jeweller")
EURO = dict(zip(CATEGORIES, (8.0, 40.0, 65.0, 90.0, 400.0, 900.0), strict=True))
ITEMS = dict(zip(CATEGORIES, (3.0, 14.0, 1.0, 4.0, 2.0, 1.0), strict=True))
OPENS = dict(zip(CATEGORIES, (6.0, 8.0, 6.0, 10.0, 10.0, 10.0), strict=True))
SHOPS = dict(zip(CATEGORIES, "BGFCEJ", strict=True))  # B1, B2 and B3 are bakeries
CHANNELS = {"bakery": "contactless", "grocer": "chip", "fuel": "chip", "clothing": "online",
            "electronics": "online", "jeweller": "chip"}  # fmt: skip
START = pd.Timestamp("2026-01-05")
DAYS = 28
FACTOR, JUMP = 10.0, 8.0
SMALL = 100.0  # euro: what jumps stays within what other cards spend


def payments(n: int, seed: int) -> pd.DataFrame:
    """Return normal payments of four weeks."""
    rng = np.random.default_rng([seed, n])
    category = rng.choice(CATEGORIES, n, p=[0.25, 0.3, 0.15, 0.12, 0.1, 0.08])
    usual = pd.Series(category).map(EURO).to_numpy(dtype=float)
    items = 1.0 + rng.poisson(pd.Series(category).map(ITEMS).to_numpy(dtype=float) - 1.0)
    opens = pd.Series(category).map(OPENS).to_numpy(dtype=float)
    hours = 24.0 * rng.integers(0, DAYS, n) + opens + rng.beta(2.0, 2.0, n) * (21.0 - opens)
    channel = pd.Series(category).map(CHANNELS).where(rng.random(n) < 0.9)
    shop = rng.integers(1, 4, n)
    away = np.exp(rng.normal(1.5, 0.6, n))
    return pd.DataFrame(
        {
            "at": START + pd.to_timedelta(np.round(hours * 3600.0), unit="s"),
            "shop": [f"{SHOPS[name]}{number}" for name, number in zip(category, shop, strict=True)],
            "category": category,
            "euro": np.round(usual * np.exp(rng.normal(0.0, 0.3, n)), 2),
            "items": items,
            "channel": channel.fillna("contactless"),
            "country": rng.choice(["DE", "AT", "FR", "NL"], n, p=[0.7, 0.15, 0.1, 0.05]),
            "distance_km": np.round(away, 2),
            "delivery_min": np.round(10.0 + 4.0 * away + rng.normal(0.0, 1.0, n), 1),
            "age": np.round(rng.normal(45.0, 13.0, n).clip(18.0, 90.0)),
        }
    )


def card_payments(n: int, seed: int, *, after: bool = False) -> pd.DataFrame:
    """Return normal payments of cards that spend on levels of their own, in order of time.

    Of four weeks, or of the four weeks after these.
    """
    rng = np.random.default_rng([seed, n, 1])
    level = np.exp(np.linspace(np.log(5.0), np.log(800.0), 60))
    card = rng.integers(0, len(level), n)
    hours = 24.0 * rng.integers(0, DAYS, n) + 7.0 + rng.beta(2.0, 2.0, n) * 14.0
    frame = pd.DataFrame(
        {
            "at": START + pd.to_timedelta(np.round(hours * 3600.0), unit="s"),
            "card": [f"c{number:03d}" for number in card],
            "euro": np.round(level[card] * np.exp(rng.normal(0.0, 0.25, n)), 2),
            "country": rng.choice(["DE", "AT", "FR", "NL"], n, p=[0.7, 0.15, 0.1, 0.05]),
            "channel": rng.choice(["chip", "contactless", "online"], n, p=[0.5, 0.3, 0.2]),
        }
    )
    frame["at"] += pd.Timedelta(days=DAYS if after else 0)
    return frame.sort_values("at", kind="stable", ignore_index=True)


def with_jumps(rows: pd.DataFrame, rng: np.random.Generator) -> tuple[Bools, pd.DataFrame]:
    """Multiply one payment of each card with small payments; return which, and all rows."""
    order = rng.permutation(len(rows))
    chosen = rows.iloc[order].drop_duplicates("card").index
    jumping = np.zeros(len(rows), dtype=np.bool_)
    jumping[chosen] = rows["euro"][chosen] < SMALL
    return jumping, rows.assign(euro=rows["euro"].where(~jumping, (rows["euro"] * JUMP).round(2)))


@dataclass(frozen=True)
class Fault:
    """What is planted in every row, and the columns of which each is a right cause."""

    columns: tuple[str, ...]
    plant: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
    applies: Callable[[pd.DataFrame], pd.Series] = lambda rows: rows["euro"] >= 0.0


def _large_amount(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(euro=rows["euro"] * FACTOR)


def _wrong_category(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(category=rows["category"].map(_FAR))


def _night(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    seconds = np.round(rng.uniform(1.0, 4.0, len(rows)) * 3600.0)
    return rows.assign(at=rows["at"].dt.normalize() + pd.to_timedelta(seconds, unit="s"))


def _broken_pair(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Exchange short and long deliveries: each stays within what is usual of its column."""
    order = np.argsort(rows["delivery_min"].to_numpy(), kind="stable")
    swapped = np.empty(len(rows))
    swapped[order] = rows["delivery_min"].to_numpy()[order[::-1]]
    return rows.assign(delivery_min=swapped)


def _far_from_middle(rows: pd.DataFrame) -> pd.Series:
    share = rows["distance_km"].rank(pct=True)
    return (share < 0.15) | (share > 0.85)


def _no_age(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(age=np.nan)


def _no_country(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    return rows.assign(country=None)


_FAR = dict(
    zip(CATEGORIES, ("electronics", "jeweller", "bakery", "fuel", "bakery", "bakery"), strict=True)
)
FAULTS = {
    "amount x 10 for its category": Fault(("euro",), _large_amount),
    "wrong category for the amount": Fault(("category",), _wrong_category),
    "impossible hour": Fault(("at",), _night),
    "broken correlation": Fault(("distance_km", "delivery_min"), _broken_pair, _far_from_middle),
    "empty number": Fault(("age",), _no_age),
    "empty category": Fault(("country",), _no_country),
}
CARD_FAULT = "amount of a card jumps"
