"""Card transactions day by day: train on the normals of the first 30 days, score the days after.

    python benchmarks/transactions.py DIR --days 12

DIR holds one parquet file a day (columns of the Fraud Detection Handbook's simulator). Printed:
average precision over all scored days, and the share of frauds among the 100 highest scores of each
day, beside 1-NN and IsolationForest on the same encoded features.

Raw columns only: amount and time of the transaction. Two of the three fraud scenarios leave a trace
only in the history of a card or terminal, so these figures have a low ceiling.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from encoded import encoded_numbers
from numpy.typing import NDArray
from peers import isolation_forest, nearest
from sklearn.metrics import average_precision_score, roc_auc_score

from vae_anomaly import TabularVAEDetector

Floats = NDArray[np.float64]
FEATURES = ["TX_AMOUNT", "TX_DATETIME"]
TRAIN_DAYS = range(7, 30)
TEST_FROM = 30
TOP = 100


def read_days(folder: Path, days: list[int]) -> list[pd.DataFrame]:
    """Return the tables of some days, counted from the first file."""
    files = sorted(folder.glob("*.parquet"))
    if len(files) <= TEST_FROM:
        raise SystemExit(f"{folder} holds {len(files)} daily files; more than {TEST_FROM} needed.")
    return [pd.read_parquet(files[day]) for day in days if day < len(files)]


def summarise(name: str, days: list[pd.DataFrame], scores: list[Floats]) -> dict[str, object]:
    """Return quality over all days, and within the first hundred of each."""
    labels = [day["TX_FRAUD"].to_numpy() for day in days]
    y, s = np.concatenate(labels), np.concatenate(scores)
    scenario = np.concatenate([day["TX_FRAUD_SCENARIO"].to_numpy() for day in days])
    found = [float(a[np.argsort(-b)[:TOP]].mean()) for a, b in zip(labels, scores, strict=True)]
    by_kind = {
        f"AUROC scenario {k}": round(float(roc_auc_score(y[few], s[few])), 3)
        for k in sorted(set(scenario) - {0})
        for few in [(scenario == k) | (y == 0)]
    }
    return {
        "method": name,
        "AUROC": round(float(roc_auc_score(y, s)), 3),
        "AP": round(float(average_precision_score(y, s)), 3),
        f"precision in {TOP} a day": round(float(np.mean(found)), 3),
        **by_kind,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=12, help="days to score, spread evenly")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    n_files = len(sorted(args.folder.glob("*.parquet")))
    test_days = np.unique(np.linspace(TEST_FROM, n_files - 1, args.days).astype(int)).tolist()
    history = pd.concat(read_days(args.folder, list(TRAIN_DAYS)), ignore_index=True)
    normal = history[history["TX_FRAUD"] == 0]
    rng = np.random.default_rng(args.seed)
    train = normal.iloc[np.sort(rng.permutation(len(normal))[:15_000])][FEATURES]
    days = read_days(args.folder, test_days)
    detector = TabularVAEDetector(random_state=args.seed).fit(train)
    ours = [detector.assess(day[FEATURES]) for day in days]
    rows, later = encoded_numbers(detector.schema_, train.iloc[:10_000], days)
    table = [
        summarise("vae-anomaly", days, [v["raw_score"].to_numpy() for v in ours]),
        summarise("1-NN", days, [nearest(1)(rows, x, args.seed) for x in later]),
        summarise("IsolationForest", days, [isolation_forest(rows, x, args.seed) for x in later]),
    ]
    pd.set_option("display.width", 250, "display.max_columns", 20)
    print(f"{len(days)} days after day {TEST_FROM}, {sum(map(len, days)):,} rows")
    print(pd.DataFrame(table).to_string(index=False))
    usual = np.concatenate(
        [v["p_value"][(d["TX_FRAUD"] == 0).to_numpy()] for v, d in zip(ours, days, strict=True)]
    )
    print(f"share of normals at p <= 0.01: {(usual <= 0.01).mean():.4f}, "
          f"at p <= 0.05: {(usual <= 0.05).mean():.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
