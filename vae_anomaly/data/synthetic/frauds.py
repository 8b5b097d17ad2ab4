"""Four patterns of card fraud, drawn into the habits of a simulated world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Objects
from vae_anomaly.data.synthetic.shop_world import CATEGORIES, COUNTRIES, FAR_COUNTRIES, World

DAY_SECONDS: Final = 86_400
_INDEX: Final = {category.name: i for i, category in enumerate(CATEGORIES)}
Case = list[dict[str, Any]]


def insert_frauds(n: int, days: int, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Draw n fraudulent payments, as cases of one or more that belong together.

    Parameters
    ----------
    n : int
        Rows.

    Returns
    -------
    DataFrame of n rows
        Columns as `simulate_transactions`, with "second" for the time.
    """
    cases: Case = []
    names = list(PATTERNS)
    while len(cases) < n:
        pattern = names[int(rng.choice(len(names), p=(0.40, 0.10, 0.40, 0.10)))]
        customer = int(rng.choice(world.activity.size, p=world.activity))
        for row in PATTERNS[pattern](customer, world, days, rng):
            cases.append(_completed(row, customer, world) | {"fraud_pattern": pattern})
    frame = pd.DataFrame(cases[:n])
    last = days * DAY_SECONDS - 1
    return frame.assign(second=frame["second"].clip(0, last), is_fraud=np.int8(1))


def _large_amount(customer: int, world: World, days: int, rng: np.random.Generator) -> Case:
    """Take a stolen card to a shop: 7 to 30 times what this customer pays for such things."""
    category = _one_of(rng, "electronics", "jewellery", "clothing", "home", "grocery")
    kind = CATEGORIES[category]
    amount = kind.typical * np.exp(world.level[customer]) * rng.uniform(7, 30)
    return [
        _row(
            second=_at(rng, days, hour=rng.uniform(9, 20)),
            category=category,
            merchant=int(rng.integers(kind.merchants)),
            amount=amount,
            channel="chip",
            country=COUNTRIES[int(world.home[customer])],
        )
    ]


def _night_burst(customer: int, world: World, days: int, rng: np.random.Generator) -> Case:
    """Hijack an account: several online purchases within half an hour of a night."""
    category = _one_of(rng, "electronics", "gaming", "clothing")
    kind = CATEGORIES[category]
    start = _at(rng, days, hour=rng.uniform(1.0, 4.0))
    seconds = start + np.sort(rng.integers(0, 1800, int(rng.integers(4, 8))))
    device = _one_of_text(rng, "phone", "desktop")
    merchant = int(rng.integers(kind.merchants))
    return [
        _row(
            second=int(second),
            category=category,
            merchant=merchant,
            amount=kind.typical * rng.uniform(1.5, 4.5),
            channel="online",
            country=COUNTRIES[int(world.home[customer])],
            device=device,
        )
        for second in seconds
    ]


def _foreign_online(customer: int, world: World, days: int, rng: np.random.Generator) -> Case:
    """Use stolen card numbers from a country in which the customer hardly ever pays."""
    category = _one_of(rng, "electronics", "travel", "jewellery")
    kind = CATEGORIES[category]
    return [
        _row(
            second=_at(rng, days, hour=rng.uniform(0, 24)),
            category=category,
            merchant=int(rng.integers(kind.merchants)),
            amount=kind.typical * rng.uniform(0.8, 5.0),
            channel="online",
            country=_one_of_text(rng, *FAR_COUNTRIES, *COUNTRIES[-2:]),
            device=_one_of_text(rng, "desktop", "phone", None),
        )
    ]


def _card_testing(customer: int, world: World, days: int, rng: np.random.Generator) -> Case:
    """Try with tiny payments whether a card works, then make a large one."""
    trial, goal = _INDEX["gaming"], _one_of(rng, "electronics", "travel")
    start = _at(rng, days, hour=rng.uniform(0, 24))
    seconds = start + np.cumsum(rng.integers(15, 150, int(rng.integers(3, 6))))
    merchant = int(rng.integers(CATEGORIES[trial].merchants))
    abroad = _one_of_text(rng, *COUNTRIES)
    common = {"channel": "online", "country": abroad, "device": "desktop"}
    rows = [_row(int(s), trial, merchant, float(rng.uniform(0.5, 1.8)), **common) for s in seconds]
    shop = int(rng.integers(CATEGORIES[goal].merchants))
    amount = CATEGORIES[goal].typical * rng.uniform(3, 10)
    return [*rows, _row(int(seconds[-1]) + 600, goal, shop, amount, **common)]


PATTERNS: Final[dict[str, Callable[[int, World, int, np.random.Generator], Case]]] = {
    "large_amount": _large_amount,
    "night_burst": _night_burst,
    "foreign_online": _foreign_online,
    "card_testing": _card_testing,
}


def _row(
    second: int,
    category: int,
    merchant: int,
    amount: float,
    channel: str,
    country: str | None,
    device: str | None = None,
) -> dict[str, Any]:
    """Describe one payment but for who makes it."""
    return {
        "second": second,
        "merchant": f"{CATEGORIES[category].name}-{merchant:03d}",
        "merchant_category": CATEGORIES[category].name,
        "country": country,
        "amount": round(float(amount), 2),
        "channel": channel,
        "card_present": channel != "online",
        "device": device,
    }


def _completed(row: dict[str, Any], customer: int, world: World) -> dict[str, Any]:
    home = COUNTRIES[int(world.home[customer])]
    return row | {"customer_id": f"C{customer:06d}", "card_country": home}


def _at(rng: np.random.Generator, days: int, hour: float) -> int:
    return int(rng.integers(days)) * DAY_SECONDS + int(hour * 3600)


def _one_of(rng: np.random.Generator, *names: str) -> int:
    return _INDEX[names[int(rng.integers(len(names)))]]


def _one_of_text(rng: np.random.Generator, *texts: str | None) -> Any:
    options: Objects = np.array(texts, dtype=object)
    return options[int(rng.integers(options.size))]
