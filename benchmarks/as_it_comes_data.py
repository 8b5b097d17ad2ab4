"""Two tables as strangers bring them: a card set and a payment set, with all that is in the way.

The card set is made of real-looking simulated transactions (columns of the Fraud Detection
Handbook): amounts, customers, terminals, times and the frauds that show in a row (scenarios 1 and
3) are theirs; the persons are made up. Its columns are those of the card sets that are passed
around: a row counter, a card number, names, an address, a birth date, a hash, seconds since 1970.
The payment set is made up whole: hours that count on, accounts, balances, a second flag, and frauds
that empty an account by a transfer and cash it out in the same hour.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

N_CUSTOMERS = 1000
N_MERCHANTS = 690
CATEGORIES = (
    "gas_transport", "grocery_pos", "home", "shopping_pos", "kids_pets", "shopping_net",
    "entertainment", "food_dining", "personal_care", "health_fitness", "misc_pos", "misc_net",
    "grocery_net", "travel",
)  # fmt: skip
_SYLLABLES = (
    "an", "ber", "cor", "da", "el", "fa", "gri", "ha", "is", "jo", "ka", "li", "mo", "ne", "or",
    "pe", "qui", "ro", "sa", "ta", "ul", "vi", "wen", "xi", "yo", "za",
)  # fmt: skip
_STREETS = ("Street", "Avenue", "Lane", "Drive", "Road", "Court")
_TYPES = {"PAYMENT": 0.34, "CASH_OUT": 0.35, "CASH_IN": 0.22, "TRANSFER": 0.084, "DEBIT": 0.006}


def card_table(folder: Path, days: range, seed: int) -> pd.DataFrame:
    """Return the transactions of some days of a tenth of the customers, in the order of time."""
    files = sorted(folder.glob("*.parquet"))
    real = pd.concat([pd.read_parquet(files[day]) for day in days], ignore_index=True)
    real = real[(real["CUSTOMER_ID"] < N_CUSTOMERS) & (real["TX_FRAUD_SCENARIO"] != 2)]
    real = real.sort_values("TX_DATETIME").reset_index(drop=True)
    rng = np.random.default_rng(seed)
    people = _persons(rng).iloc[real["CUSTOMER_ID"]].reset_index(drop=True)
    shops = _merchants(rng).iloc[real["TERMINAL_ID"] % N_MERCHANTS].reset_index(drop=True)
    seconds = (real["TX_DATETIME"] - pd.Timestamp(1970, 1, 1)) // pd.Timedelta(seconds=1)
    return pd.DataFrame(
        {
            "Unnamed: 0": np.arange(len(real)),
            "trans_date_trans_time": real["TX_DATETIME"].astype(str).str[:19],
            "cc_num": people["cc_num"],
            "merchant": shops["merchant"],
            "category": shops["category"],
            "amt": real["TX_AMOUNT"],
            **{name: people[name] for name in people.columns[1:9]},
            "lat": people["lat"],
            "long": people["long"],
            "city_pop": people["city_pop"],
            "job": people["job"],
            "dob": people["dob"],
            "trans_num": [f"{key:016x}{key:016x}" for key in rng.integers(2**60, 2**63, len(real))],
            "unix_time": seconds,
            "merch_lat": (people["lat"] + rng.uniform(-1, 1, len(real))).round(6),
            "merch_long": (people["long"] + rng.uniform(-1, 1, len(real))).round(6),
            "is_fraud": real["TX_FRAUD"],
        }
    )


def payment_table(n_hours: int, rate: int, seed: int) -> pd.DataFrame:
    """Return payments of some hours, about ``rate`` an hour, in the order of time."""
    rng = np.random.default_rng(seed)
    step = np.repeat(np.arange(1, n_hours + 1), rng.poisson(rate, n_hours))
    usual = _usual_payments(step, rng)
    hours = rng.integers(1, n_hours + 1, n_hours * rate // 150)
    table = pd.concat([usual, *_thefts(np.sort(hours), rng)], ignore_index=True)
    return table.sort_values("step", kind="stable").reset_index(drop=True)


def _persons(rng: np.random.Generator) -> pd.DataFrame:
    """Make up who pays: one row a customer, in the order of the card set's columns."""
    n = N_CUSTOMERS
    places = rng.integers(0, 900, n)
    cities = _names(900, 3, rng)
    born = pd.Timestamp("1930-01-01") + pd.to_timedelta(rng.integers(0, 27_000, n), unit="D")
    return pd.DataFrame(
        {
            "cc_num": rng.integers(10**11, 10**12, n) * 10 ** rng.integers(0, 5, n),
            "first": rng.choice(_names(350, 2, rng), n),
            "last": rng.choice(_names(480, 3, rng), n),
            "gender": rng.choice(["F", "M"], n),
            "street": [
                f"{rng.integers(1, 9999)} {name} {kind}"
                for name, kind in zip(_names(n, 3, rng), rng.choice(_STREETS, n), strict=True)
            ],
            "city": np.array(cities)[places],
            "state": np.array([f"{a}{b}" for a in "ACDFGI" for b in "AKLNORT"])[places % 42],
            "zip": 1000 + places * 107,
            "lat": 27 + places * 0.0231,
            "long": -122 + (places * 7919 % 900) * 0.058,
            "city_pop": np.exp(np.random.default_rng(0).normal(8, 2, 900))[places].astype(int) + 20,
            "job": rng.choice([f"{name}, {rank}" for name in _names(120, 3, rng) for rank in
                               ("chartered", "public", "art", "field")], n),
            "dob": pd.Series(born).dt.strftime("%Y-%m-%d"),
        }
    )  # fmt: skip


def _merchants(rng: np.random.Generator) -> pd.DataFrame:
    """Make up who is paid, each in one category."""
    names = _names(N_MERCHANTS, 3, rng)
    categories = rng.choice(CATEGORIES, N_MERCHANTS)
    return pd.DataFrame(
        {"merchant": [f"fraud_{n} and Sons" for n in names], "category": categories}
    )


def _names(n: int, syllables: int, rng: np.random.Generator) -> list[str]:
    """Make up different names."""
    names: dict[str, None] = {}
    while len(names) < n:
        names["".join(rng.choice(_SYLLABLES, syllables)).title()] = None
    return list(names)


def _usual_payments(step: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Make up payments that nobody complains about."""
    n = len(step)
    kind = rng.choice(list(_TYPES), n, p=list(_TYPES.values()))
    spread = {"PAYMENT": (8.9, 1.0), "CASH_OUT": (11.7, 1.0), "CASH_IN": (11.7, 0.9),
              "TRANSFER": (12.9, 1.3), "DEBIT": (8.3, 0.9)}  # fmt: skip
    middle, sigma = (np.array([spread[k][i] for k in kind]) for i in (0, 1))
    amount = np.exp(rng.normal(middle, sigma)).round(2)
    old = np.where(rng.random(n) < 0.33, 0, np.exp(rng.normal(10.4, 2.2, n))).round(2)
    incoming = kind == "CASH_IN"
    new = np.where(incoming, old + amount, np.maximum(old - amount, 0)).round(2)
    merchant = kind == "PAYMENT"
    theirs = np.where(merchant, 0, np.exp(rng.normal(12.7, 1.9, n))).round(2)
    moved = np.where(incoming, np.maximum(theirs - amount, 0), theirs + amount)
    return pd.DataFrame(
        {
            "step": step,
            "type": kind,
            "amount": amount,
            "nameOrig": [f"C{number}" for number in rng.integers(10**8, 2 * 10**9, n)],
            "oldbalanceOrg": old,
            "newbalanceOrig": new,
            "nameDest": np.where(
                merchant,
                [f"M{number}" for number in rng.integers(10**8, 2 * 10**9, n)],
                [f"C{10**8 + 7919 * number}" for number in rng.integers(0, max(1, n // 8), n)],
            ),
            "oldbalanceDest": theirs,
            "newbalanceDest": np.where(merchant, 0, moved).round(2),
            "isFraud": 0,
            "isFlaggedFraud": 0,
        }
    )


def _thefts(hours: np.ndarray, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Empty accounts: all that is there is transferred, then cashed out elsewhere."""
    n = len(hours)
    stolen = np.minimum(np.exp(rng.normal(12.9, 1.6, n)), 1e7).round(2)
    mule = [f"C{number}" for number in rng.integers(10**8, 2 * 10**9, n)]
    cash = [f"C{10**8 + 7919 * number}" for number in rng.integers(0, 5000, n)]
    theirs = np.exp(rng.normal(12.7, 1.9, n)).round(2)
    transfer = pd.DataFrame(
        {
            "step": hours, "type": "TRANSFER", "amount": stolen,
            "nameOrig": [f"C{number}" for number in rng.integers(10**8, 2 * 10**9, n)],
            "oldbalanceOrg": stolen, "newbalanceOrig": 0.0, "nameDest": mule,
            "oldbalanceDest": 0.0, "newbalanceDest": 0.0, "isFraud": 1,
            "isFlaggedFraud": (stolen > 5e6).astype(int),
        }
    )  # fmt: skip
    cashed = transfer.assign(
        type="CASH_OUT", nameOrig=mule, nameDest=cash, oldbalanceDest=theirs,
        newbalanceDest=(theirs + stolen).round(2), isFlaggedFraud=0,
    )  # fmt: skip
    return transfer, cashed
