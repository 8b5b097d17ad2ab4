"""Who pays what where: the customers, merchants and habits behind simulated card payments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats, Ints

COUNTRIES: Final = ("DE", "FR", "IT", "ES", "PL", "NL", "AT", "CH", "BE", "CZ", "GB", "US")
HOME_SHARES: Final = (0.30, 0.17, 0.12, 0.10, 0.09, 0.07, 0.05, 0.04, 0.03, 0.03, 0.0, 0.0)
FAR_COUNTRIES: Final = ("NG", "VN", "BR", "ID", "PA", "UA")
PLACES: Final = COUNTRIES + FAR_COUNTRIES
ABROAD_SHARES: Final = (0.08,) * len(COUNTRIES) + (0.04 / 6,) * len(FAR_COUNTRIES)


@dataclass(frozen=True)
class Category:
    """One merchant category.

    Parameters
    ----------
    weight : float
        Relative number of payments.
    typical : float
        Median amount, euro.
    spread : float
        Standard deviation of the amount's logarithm.
    online : float
        Share of payments without card present.
    merchants : int
        Number of merchants.
    peak_hour, hour_spread : float
        When people pay: centre and standard deviation, hours.
    """

    name: str
    weight: float
    typical: float
    spread: float
    online: float
    merchants: int
    peak_hour: float
    hour_spread: float


CATEGORIES: Final = (
    Category("grocery", 27, 27.0, 0.75, 0.03, 160, 16.5, 3.2),
    Category("restaurant", 15, 24.0, 0.60, 0.10, 220, 18.5, 3.6),
    Category("fuel", 9, 52.0, 0.35, 0.00, 70, 13.5, 4.5),
    Category("transport", 10, 6.5, 0.80, 0.45, 25, 12.0, 4.8),
    Category("pharmacy", 6, 16.0, 0.65, 0.12, 80, 14.5, 3.0),
    Category("clothing", 8, 48.0, 0.70, 0.42, 110, 15.5, 3.6),
    Category("subscription", 7, 11.0, 0.35, 1.00, 18, 9.0, 5.5),
    Category("electronics", 4, 95.0, 1.00, 0.60, 55, 17.0, 3.8),
    Category("home", 5, 62.0, 0.90, 0.30, 70, 14.5, 3.2),
    Category("cash", 5, 80.0, 0.60, 0.00, 60, 14.0, 4.2),
    Category("travel", 2.5, 180.0, 0.90, 0.80, 40, 16.5, 4.4),
    Category("jewellery", 0.8, 150.0, 0.90, 0.25, 30, 15.0, 2.8),
    Category("gaming", 2.7, 14.0, 0.80, 1.00, 22, 20.5, 3.4),
)


@dataclass(frozen=True)
class World:
    """Customers with their habits, drawn once.

    Parameters
    ----------
    activity : ndarray of shape (C,), float64
        Share of all payments that each of C customers makes.
    level : ndarray of shape (C,), float64
        Logarithm of how much more than typical each spends.
    home : ndarray of shape (C,), int64
        Index into `PLACES`.
    tastes : ndarray of shape (C, K), float64
        Cumulative shares of the K categories.
    favourite : ndarray of shape (C,), float64 in [0, 1)
        Where in every list of merchants a customer's own begin.
    trip_start, trip_days : ndarray of shape (C,), float64
        When a journey abroad begins, and how long it lasts; 0 days for most.
    trip_country : ndarray of shape (C,), int64
    device : ndarray of shape (C,), int64
    """

    activity: Floats
    level: Floats
    home: Ints
    tastes: Floats
    favourite: Floats
    trip_start: Floats
    trip_days: Floats
    trip_country: Ints
    device: Ints


def make_world(n_customers: int, days: int, rng: np.random.Generator) -> World:
    """Draw customers: few pay often, each has categories, merchants and a level of their own."""
    activity = rng.gamma(1.6, size=n_customers)
    weights = np.array([category.weight for category in CATEGORIES])
    tastes = rng.gamma(weights * 0.35 + 0.05, size=(n_customers, len(CATEGORIES)))
    tastes *= weights / (weights * 0.35 + 0.05)
    travels = rng.random(n_customers) < 0.12
    return World(
        activity=activity / activity.sum(),
        level=rng.normal(0, 0.38, n_customers),
        home=rng.choice(len(COUNTRIES), n_customers, p=HOME_SHARES),
        tastes=np.cumsum(tastes / tastes.sum(axis=1, keepdims=True), axis=1),
        favourite=rng.random(n_customers),
        trip_start=rng.uniform(0, days, n_customers),
        trip_days=np.where(travels, rng.uniform(3, 12, n_customers), 0.0),
        trip_country=rng.integers(0, len(COUNTRIES), n_customers),
        device=rng.choice(3, n_customers, p=(0.62, 0.28, 0.10)),
    )
