from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.synthetic import simulate_transactions, write_transactions
from vae_anomaly.data.synthetic.shop_world import (
    CATEGORIES,
    make_world,
)
from vae_anomaly.data.synthetic.transactions import DAY_SECONDS, insert_frauds
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.errors import ConfigError

PATTERNS = {"large_amount", "night_burst", "foreign_online", "card_testing"}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return simulate_transactions(60_000, 30, random_state=0)


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        folder = write_transactions(tmp_path / name, 2000, 4, random_state=seed)
        files = sorted(folder.rglob("*.parquet"))
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert digests[0] == digests[1]
    assert not set(digests[0]) & set(digests[2])


def test_rows_are_as_many_as_asked_and_in_order_of_time(rows: pd.DataFrame) -> None:
    assert len(rows) == 60_000
    assert rows["timestamp"].is_monotonic_increasing
    assert rows["transaction_id"].is_unique
    assert rows["timestamp"].dt.normalize().nunique() == 30


def test_one_in_two_hundred_is_a_fraud_of_four_patterns(rows: pd.DataFrame) -> None:
    assert rows["is_fraud"].sum() == 300
    assert set(rows["fraud_pattern"].dropna()) == PATTERNS
    assert rows["fraud_pattern"].value_counts().min() > 30
    assert (rows["fraud_pattern"].notna() == (rows["is_fraud"] == 1)).all()


def test_the_schema_reads_it_as_meant(rows: pd.DataFrame) -> None:
    schema = Schema.infer(rows.drop(columns="fraud_pattern"), label="is_fraud")
    assert {column.name: column.kind.value for column in schema.columns} == {
        "transaction_id": "identifier",
        "timestamp": "timestamp",
        "customer_id": "identifier",
        "card_country": "categorical",
        "merchant": "categorical",
        "merchant_category": "categorical",
        "country": "categorical",
        "amount": "numeric",
        "channel": "categorical",
        "card_present": "boolean",
        "device": "categorical",
    }


def test_cells_are_missing_at_realistic_shares(rows: pd.DataFrame) -> None:
    missing = rows.isna().mean()
    assert 0.01 < missing["country"] < 0.03
    assert 0.002 < missing["merchant_category"] < 0.01
    online = rows[rows["channel"] == "online"]
    assert 0.05 < online["device"].isna().mean() < 0.09
    assert rows.loc[rows["card_present"], "device"].isna().all()
    assert missing[["amount", "timestamp", "merchant", "card_present"]].sum() == 0


def test_amounts_are_heavy_tailed_and_follow_category_and_customer(rows: pd.DataFrame) -> None:
    normal = rows[rows["is_fraud"] == 0]
    log_amount = np.log(normal["amount"])
    category = log_amount.groupby(normal["merchant_category"]).transform("mean")
    residual = log_amount - category
    assert (normal["amount"] > 0).all()
    assert normal["amount"].quantile(0.999) > 20 * normal["amount"].median()
    per_customer = residual.groupby(normal["customer_id"]).mean()
    counts = normal["customer_id"].value_counts()
    often = per_customer[counts[counts > 30].index]
    assert often.std() > 2 * residual.std() / np.sqrt(60)


def test_customers_return_to_their_merchants(rows: pd.DataFrame) -> None:
    grocery = rows[rows["merchant_category"] == "grocery"]
    per_customer = grocery.groupby("customer_id")["merchant"].agg(["size", "nunique"])
    often = per_customer[per_customer["size"] >= 20]
    assert (often["nunique"] / often["size"]).median() < 0.8
    assert grocery["merchant"].nunique() > 100


def test_no_single_column_tells_frauds_apart(rows: pd.DataFrame) -> None:
    normal, fraud = (rows[rows["is_fraud"] == label] for label in (0, 1))
    for name in ("country", "merchant_category", "channel", "device", "card_country", "merchant"):
        assert set(fraud[name].dropna()) <= set(normal[name].dropna())
    assert fraud["amount"].median() < normal["amount"].quantile(0.99)


def test_bursts_belong_to_one_customer_within_half_an_hour(rows: pd.DataFrame) -> None:
    burst = rows[rows["fraud_pattern"] == "night_burst"]
    groups = burst.groupby(["customer_id", burst["timestamp"].dt.date])["timestamp"]
    assert (groups.size() >= 4).mean() > 0.8
    assert (groups.max() - groups.min() <= pd.Timedelta("30min")).mean() > 0.9
    assert burst["timestamp"].dt.hour.between(1, 4).all()


def test_days_and_labels_are_written_apart(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write_transactions(tmp_path, 2000, 5, progress=lambda *step: told.append(step))
    days = sorted(path.name for path in (tmp_path / "days").iterdir())
    assert days == [f"2024-03-0{day}.parquet" for day in range(1, 6)]
    rows, labels = read_table(tmp_path / "days"), read_table(tmp_path / "labels.parquet")
    assert "is_fraud" not in rows.columns
    assert rows["transaction_id"].tolist() == labels["transaction_id"].tolist()
    assert labels["is_fraud"].sum() == 10
    assert told[-1] == ("write transactions", 5, 5)


@pytest.mark.parametrize(("n", "days"), [(10, 5), (2000, 0)])
def test_too_little_is_refused(n: int, days: int) -> None:
    with pytest.raises(ConfigError, match=f"n={n}, days={days}"):
        simulate_transactions(n, days)


TYPICAL = {category.name: category.typical for category in CATEGORIES}


@pytest.fixture(scope="module")
def world():
    return make_world(200, 20, np.random.default_rng(1))


def test_each_pattern_is_against_somebodys_habits(world):
    frauds = insert_frauds(600, 20, world, np.random.default_rng(3))
    of = dict(tuple(frauds.groupby("fraud_pattern")))
    customer = of["large_amount"]["customer_id"].str[1:].astype(int).to_numpy()
    usual = of["large_amount"]["merchant_category"].map(TYPICAL) * np.exp(world.level[customer])
    assert (of["large_amount"]["amount"] / usual).between(6.9, 30.1).all()
    assert (of["night_burst"]["second"] % DAY_SECONDS < 4.6 * 3600).all()
    assert (of["foreign_online"]["channel"] == "online").all()
    assert (of["card_testing"]["amount"] <= 1.8).mean() > 0.6
