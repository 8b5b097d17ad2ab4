"""Card transactions day by day: train on the normals of the first 30 days, score the days after.

    python benchmarks/transactions.py DIR --days 12
    python benchmarks/transactions.py DIR --every-day

DIR holds one parquet file a day (columns of the Fraud Detection Handbook's simulator). Printed:
average precision over all scored days, and the share of frauds among the 100 highest scores of each
day, beside 1-NN and IsolationForest on the same encoded features; of each scenario its AUROC, and
how many of its frauds are among those hundred.

Twice: on the raw columns (amount and time), and with the customer's own causal history, computed
day by day as a nightly job would. Scenario 2, a terminal taken over, leaves no trace in either.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from encoded import encoded_numbers
from peers import isolation_forest, nearest
from sklearn.metrics import average_precision_score, roc_auc_score

from vae_anomaly import TabularVAEDetector
from vae_anomaly.arrays import Floats
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories

FEATURES = ["TX_AMOUNT", "TX_DATETIME"]
TRAIN_DAYS = range(7, 30)
TEST_FROM = 30
TOP = 100
TRAIN_ROWS = 60_000


def read_days(folder: Path) -> list[pd.DataFrame]:
    """Return the tables of all days, each with its customers' own history."""
    files = sorted(folder.glob("*.parquet"))
    if len(files) <= TEST_FROM:
        raise SystemExit(f"{folder} holds {len(files)} daily files; more than {TEST_FROM} needed.")
    histories = EntityHistories(EntityColumns(("CUSTOMER_ID",), "TX_DATETIME", "TX_AMOUNT"))
    return [histories.extend(pd.read_parquet(file)) for file in files]


def compare(
    what: str, columns: list[str], normal: pd.DataFrame, days: list[pd.DataFrame], seed: int
) -> list[dict[str, object]]:
    """Train on some columns of sampled normals, score the days, and return a line per method."""
    rng = np.random.default_rng(seed)
    train = normal.iloc[np.sort(rng.permutation(len(normal))[:TRAIN_ROWS])][columns]
    detector = TabularVAEDetector(random_state=seed).fit(train)
    ours = [detector.assess(day[columns]) for day in days]
    usual = np.concatenate(
        [v["p_value"][(d["TX_FRAUD"] == 0).to_numpy()] for v, d in zip(ours, days, strict=True)]
    )
    print(
        f"{what}: share of normals at p <= 0.01: {(usual <= 0.01).mean():.4f}, "
        f"at p <= 0.05: {(usual <= 0.05).mean():.4f}"
    )
    rows, later = encoded_numbers(detector.schema_, train, [d[columns] for d in days])
    scores = {
        "vae-anomaly": [verdict["raw_score"].to_numpy() for verdict in ours],
        "1-NN": [nearest(1)(rows, x, seed) for x in later],
        "IsolationForest": [isolation_forest(rows, x, seed) for x in later],
    }
    return [{"columns": what, **summarise(name, days, s)} for name, s in scores.items()]


def summarise(name: str, days: list[pd.DataFrame], scores: list[Floats]) -> dict[str, object]:
    """Return quality over all days, and within the first hundred of each."""
    labels = [day["TX_FRAUD"].to_numpy() for day in days]
    y, s = np.concatenate(labels), np.concatenate(scores)
    scenario = np.concatenate([day["TX_FRAUD_SCENARIO"].to_numpy() for day in days])
    first = np.concatenate([np.argsort(np.argsort(-day)) < TOP for day in scores])
    found = [float(a[np.argsort(-b)[:TOP]].mean()) for a, b in zip(labels, scores, strict=True)]
    by_kind: dict[str, object] = {}
    for kind in sorted(set(scenario) - {0}):
        few = (scenario == kind) | (y == 0)
        by_kind[f"AUROC {kind}"] = round(float(roc_auc_score(y[few], s[few])), 3)
        by_kind[f"found {kind}"] = (
            f"{(first & (scenario == kind)).sum()}/{(scenario == kind).sum()}"
        )
    return {
        "method": name,
        "AUROC": round(float(roc_auc_score(y, s)), 3),
        "AP": round(float(average_precision_score(y, s)), 3),
        f"P@{TOP}/day": round(float(np.mean(found)), 3),
        **by_kind,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=12, help="days to score, spread evenly")
    parser.add_argument("--every-day", action="store_true", help=f"all from day {TEST_FROM} on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    every = read_days(args.folder)
    n_days = len(every) - TEST_FROM if args.every_day else args.days
    chosen = np.unique(np.linspace(TEST_FROM, len(every) - 1, n_days).astype(int))
    days = [every[day] for day in chosen]
    past = pd.concat([every[day] for day in TRAIN_DAYS], ignore_index=True)
    normal = past[past["TX_FRAUD"] == 0]
    own = [name for name in every[0] if name.startswith("CUSTOMER_ID: ")]
    table = compare("raw", FEATURES, normal, days, args.seed)
    table += compare("with own history", FEATURES + own, normal, days, args.seed)
    pd.set_option("display.width", 250, "display.max_columns", 20)
    print(f"{len(days)} days after day {TEST_FROM}, {sum(map(len, days)):,} rows")
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
