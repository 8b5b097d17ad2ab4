"""Simulate card payments over some weeks, a few of them fraudulent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vae_anomaly.arrays import Bools, Floats, Ints, Objects
from vae_anomaly.data.synthetic.shop_world import (
    ABROAD_SHARES,
    CATEGORIES,
    COUNTRIES,
    FAR_COUNTRIES,
    PLACES,
    World,
    make_world,
)
from vae_anomaly.errors import ConfigError
from vae_anomaly.files import replace_file
from vae_anomaly.progress import Progress, null_progress

_START: Final = np.datetime64("2024-03-01", "s")  # a Friday
LABEL_COLUMNS: Final = ("is_fraud", "fraud_pattern")
DEVICES: Final = np.array(["phone", "desktop", "tablet"], dtype=object)
WEEKDAY_WEIGHTS: Final = np.array([0.92, 0.9, 0.95, 1.05, 1.25, 1.2, 0.73])  # Monday first
DAY_SECONDS: Final = 86_400
FRAUD_SHARE: Final = 0.005
ROWS_PER_CUSTOMER: Final = 40
_INDEX: Final = {category.name: i for i, category in enumerate(CATEGORIES)}
Case = list[dict[str, Any]]


def simulate_transactions(
    n: int = 60_000, days: int = 30, *, random_state: int = 0
) -> pd.DataFrame:
    """Simulate card payments of customers with habits, and four patterns of fraud.

    Parameters
    ----------
    n : int
        Rows, at least 1,000.
    days : int
        Length, from 1 March 2024.
    random_state : int

    Returns
    -------
    DataFrame of shape (n, 13), sorted by time
        transaction_id (int), timestamp (second, UTC), customer_id (text), card_country, merchant
        (about 1,000 names), merchant_category (13), country, amount (euro), channel (chip,
        contactless, online, atm), card_present (bool), device (missing where no device is used,
        sometimes elsewhere), and the labels is_fraud (0/1; about 0.5 %) and fraud_pattern
        (large_amount, night_burst, foreign_online, card_testing; None where there is no fraud).
        About 2 % of countries, 0.5 % of categories and 7 % of online devices are missing.

    Raises
    ------
    ConfigError
        If n or days is too small.

    Examples
    --------
    >>> rows = simulate_transactions(2000, 5)
    >>> len(rows), int(rows["is_fraud"].sum())
    (2000, 10)
    """
    if n < 1000 or days < 1:
        raise ConfigError(f"n must be at least 1000 and days at least 1. Got n={n}, days={days}.")
    rng = np.random.default_rng([random_state, 7])
    world = make_world(max(50, n // ROWS_PER_CUSTOMER), days, rng)
    n_fraud = round(n * FRAUD_SHARE)
    rows = pd.concat(
        [_normal_rows(n - n_fraud, days, world, rng), insert_frauds(n_fraud, days, world, rng)],
        ignore_index=True,
    )
    rows = rows.sort_values("second", kind="stable", ignore_index=True)
    rows.insert(0, "transaction_id", np.arange(n, dtype=np.int64) + 5_000_001)
    rows.insert(1, "timestamp", _START + rows.pop("second").to_numpy().astype("timedelta64[s]"))
    return _with_missing_cells(rows, rng)


def write_transactions(
    folder: str | Path,
    n: int = 60_000,
    days: int = 30,
    *,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write simulated payments as one parquet file per day, the labels apart.

    Parameters
    ----------
    folder : path
        Made where it does not exist; gets ``days/2024-03-01.parquet`` and so on without labels,
        and ``labels.parquet`` with transaction_id, is_fraud and fraud_pattern.
    n, days, random_state
        As in `simulate_transactions`.
    progress : callable, optional

    Returns
    -------
    Path
        The folder.
    """
    root, tell = Path(folder), progress or null_progress
    (root / "days").mkdir(parents=True, exist_ok=True)
    rows = simulate_transactions(n, days, random_state=random_state)
    dates = rows["timestamp"].dt.strftime("%Y-%m-%d")
    for done, (date, part) in enumerate(rows.drop(columns=[*LABEL_COLUMNS]).groupby(dates), 1):
        _write_parquet(root / "days" / f"{date}.parquet", part)
        tell("write transactions", done, days)
    _write_parquet(root / "labels.parquet", rows[["transaction_id", *LABEL_COLUMNS]])
    return root


def _write_parquet(path: Path, frame: pd.DataFrame) -> None:
    with replace_file(path) as temporary, temporary.open("wb") as file:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)


def _normal_rows(n: int, days: int, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what customers do by habit."""
    customer = rng.choice(world.activity.size, n, p=world.activity)
    category = (rng.random(n)[:, None] > world.tastes[customer]).sum(axis=1)
    category = np.minimum(category, len(CATEGORIES) - 1)
    second = _seconds(category, days, rng)
    online = rng.random(n) < _of_category("online")[category]
    country = _countries(customer, second, online, world, rng)
    return pd.DataFrame(
        {
            "second": second,
            "customer_id": customer_names(customer),
            "card_country": np.array(PLACES, dtype=object)[world.home[customer]],
            "merchant": merchant_names(category, _merchants(customer, category, world, rng)),
            "merchant_category": category_names(category),
            "country": np.array(PLACES, dtype=object)[country],
            "amount": amounts(category, world.level[customer], rng),
            "channel": channels(category, online, rng),
            "card_present": ~online,
            "device": _devices(customer, online, world, rng),
            "is_fraud": np.zeros(n, dtype=np.int8),
            "fraud_pattern": np.full(n, None, dtype=object),
        }
    )


def _seconds(category: Ints, days: int, rng: np.random.Generator) -> Ints:
    """Draw when: a weekday by its weight, an hour by the category's habit."""
    weekday = (np.arange(days) + 4) % 7
    weights = WEEKDAY_WEIGHTS[weekday]
    day = rng.choice(days, category.size, p=weights / weights.sum())
    hour = rng.normal(_of_category("peak_hour")[category], _of_category("hour_spread")[category])
    hour = np.where(rng.random(category.size) < 0.02, rng.uniform(0, 24, category.size), hour)
    return np.asarray(day * DAY_SECONDS + ((hour % 24) * 3600).astype(np.int64))


def _countries(
    customer: Ints,
    second: Ints,
    online: Bools,
    world: World,
    rng: np.random.Generator,
) -> Ints:
    """Place payments: at home, on a journey, or with a merchant abroad."""
    day = second / DAY_SECONDS
    start = world.trip_start[customer]
    away = (day >= start) & (day < start + world.trip_days[customer])
    country = np.where(away & ~online, world.trip_country[customer], world.home[customer])
    abroad = rng.random(customer.size) < np.where(online, 0.16, 0.015)
    elsewhere = rng.choice(len(PLACES), customer.size, p=ABROAD_SHARES)
    return np.where(abroad, elsewhere, country)


def _merchants(
    customer: Ints,
    category: Ints,
    world: World,
    rng: np.random.Generator,
) -> Ints:
    """Choose merchants: mostly the customer's few, else the popular ones."""
    count = _of_category("merchants")[category]
    habit = (world.favourite[customer] + 0.06 * rng.random(customer.size) ** 2) % 1.0
    popular = rng.random(customer.size) ** 2.2
    share = np.where(rng.random(customer.size) < 0.65, habit, popular)
    return np.minimum((share * count).astype(np.int64), count.astype(np.int64) - 1)


def _devices(
    customer: Ints,
    online: Bools,
    world: World,
    rng: np.random.Generator,
) -> Objects:
    """Name the device of an online payment; mostly the customer's own."""
    other = rng.random(customer.size) < 0.18
    device = np.where(other, rng.integers(0, 3, customer.size), world.device[customer])
    return np.asarray(np.where(online, DEVICES[device], np.array(None, dtype=object)))


def amounts(category: Ints, level: Floats, rng: np.random.Generator) -> Floats:
    """Draw amounts in euro: log-normal per category and customer, with a heavy tail."""
    shock = np.clip(rng.standard_t(7, category.size) * np.sqrt(5 / 7), -4.5, 4.5)  # deviation 1
    log_amount = np.log(_of_category("typical"))[category] + level
    log_amount += _of_category("spread")[category] * shock
    raw = np.maximum(np.exp(log_amount), 0.5)
    names = category_names(category)
    raw = np.where(names == "cash", np.clip(np.round(raw / 10) * 10, 10, 1000), raw)
    priced = np.isin(names, ["subscription", "clothing", "electronics"])
    raw = np.where(priced & (rng.random(raw.size) < 0.7), np.floor(raw) + 0.99, raw)
    return np.asarray(np.round(raw, 2))


def channels(category: Ints, online: Bools, rng: np.random.Generator) -> Objects:
    """Name how the card was used."""
    near = np.where(rng.random(category.size) < 0.68, "contactless", "chip").astype(object)
    near = np.where(category_names(category) == "cash", "atm", near)
    return np.asarray(np.where(online, "online", near))


def customer_names(customer: Ints) -> Objects:
    """Write customer numbers as text."""
    names = np.array([f"C{i:06d}" for i in range(int(customer.max(initial=0)) + 1)], dtype=object)
    return names[customer]


def merchant_names(category: Ints, number: Ints) -> Objects:
    """Write merchants as text, such as "grocery-017"."""
    first = np.concatenate([[0], np.cumsum(_of_category("merchants"))]).astype(np.int64)
    names = np.array(
        [f"{kind.name}-{i:03d}" for kind in CATEGORIES for i in range(kind.merchants)], dtype=object
    )
    return np.asarray(names[first[category] + number])


def category_names(category: Ints) -> Objects:
    """Write category numbers as text."""
    return np.array([kind.name for kind in CATEGORIES], dtype=object)[category]


def _of_category(field: str) -> Floats:
    return np.array([getattr(kind, field) for kind in CATEGORIES], dtype=np.float64)


def _with_missing_cells(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Lose cells as real feeds do: a country now and then, a device more often."""
    for name, share in (("country", 0.02), ("merchant_category", 0.005), ("device", 0.07)):
        lost = rng.random(len(rows)) < share
        rows[name] = rows[name].astype(object).where(~lost & rows[name].notna(), None)
    return rows


def insert_frauds(n: int, days: int, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Draw n fraudulent payments, as cases of one or more that belong together.

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
