"""Mixed tables: numbers, categories, dates and gaps, beside 1-NN, 5-NN and IsolationForest.

    python benchmarks/tables.py DIR --seeds 3

DIR holds parquet files and ``tables.json``, which names for each of them the label, columns that
give it away (dropped), identifiers (ignored), categories and times. Half of the normals train, the
rest and all anomalies are scored; a table ``NAME_train*`` trains whole and ``NAME_test`` is scored.
At most 10,000 rows train. The peers get the detector's own encoding, standardised.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from encoded import encoded_numbers
from peers import PEERS
from tabular import LIMIT, OURS, parts_of, quality

from vae_anomaly import TabularVAEDetector

NEIGHBOURS = ("1-NN", "5-NN", "IsolationForest")


def read(folder: Path, name: str, facts: dict[str, Any]) -> tuple[pd.DataFrame, pd.Series]:
    """Return features and label of a table."""
    frame = pd.read_parquet(folder / f"{name}.parquet").replace("?", None)
    label = frame[facts["label"]].astype(int)
    dropped = {facts["label"], "label", *facts.get("leak", []), *facts.get("id", [])}
    return frame.drop(columns=[c for c in frame.columns if c in dropped]), label


def split(
    folder: Path, name: str, facts: dict[str, Any], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Return training normals, rows to score, and their labels."""
    frame, label = read(folder, name, facts)
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(label == 0))
    official = folder / f"{name.rsplit('_', 1)[0]}_test.parquet"
    if official.exists():
        test, y = read(folder, official.stem, facts)
        return frame.iloc[normal[:LIMIT]], test, y
    half = len(normal) // 2
    scored = np.concatenate([normal[half:], np.flatnonzero(label == 1)])
    return frame.iloc[normal[:half][:LIMIT]], frame.iloc[scored], label.iloc[scored]


def measure(folder: Path, name: str, facts: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return one result for each method."""
    train, test, y = split(folder, name, facts, seed)
    train, test = (part.reset_index(drop=True) for part in (train, test))
    kinds = dict.fromkeys(facts.get("cat", []), "categorical")
    kinds |= dict.fromkeys(facts.get("time", []), "timestamp")
    kinds = {column: kind for column, kind in kinds.items() if column in train}
    detector = TabularVAEDetector(column_kinds=kinds, random_state=seed).fit(train)
    evidence = detector.evidence(test)
    scores = {OURS: evidence["fused"].to_numpy(), **parts_of(evidence)}
    numbers, (later,) = encoded_numbers(detector.schema_, train, [test])
    scores |= {peer: PEERS[peer](numbers, later, seed) for peer in NEIGHBOURS}
    facts_of_run = {"table": name, "seed": seed, "n": len(train), "d": numbers.shape[1]}
    labels = y.to_numpy()
    return [{**facts_of_run, "method": m, **quality(labels, s)} for m, s in scores.items()]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", default="", help="parts of names, separated by commas")
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads((args.folder / "tables.json").read_text())
    names = [name for name in known if not name.endswith("_test")]
    if args.tables:
        names = [n for n in names if any(part in n for part in args.tables.split(","))]
    rows = []
    for name in names:
        for seed in range(args.seeds):
            found = measure(args.folder, name, known[name], seed)
            print(f"{name} seed {seed}: {found[0]['auroc']:.4f} {found[0]['ap']:.4f}", flush=True)
            rows += found
    results = pd.DataFrame(rows)
    pd.set_option("display.width", 250, "display.max_columns", 20)
    for measure_name in ("auroc", "ap"):
        table = results.pivot_table(index="table", columns="method", values=measure_name)
        table.loc["mean"] = table.mean()
        print(f"\n{measure_name} (mean over {args.seeds} seeds)\n{table.round(4).to_string()}")


if __name__ == "__main__":
    main()
