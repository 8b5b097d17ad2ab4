"""Ask what the self-test of image detectors is worth: what it predicts beside what is found.

    python benchmarks/self_test.py DATA [--out RESULTS.jsonl] [--preset fast] [--only bottle]

DATA holds the image sets ``bottle, casting, kolektorsdd, magnetic_tiles, solar_poly`` in the MVTec
layout and ``small_images/mnist.npz, fashion_mnist.npz``; `self_test_cases.py` says what is made of
them. With ``--out`` each case is kept as a line, a killed run goes on, and cases that are there are
only printed. Set OMP_NUM_THREADS=1; all cases take about fifteen minutes on one core.

Two questions. How well does the mean share of synthetic defects that is found rank models by the
recall on real defects, at the same threshold (Spearman)? And where the best kind and size is found
less often than a level, is the model blind: is its AUROC on the real test below .65, and is it
never above .75?
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results_file import keep, load
from scipy.stats import spearmanr
from self_test_cases import Case, all_cases

from vae_anomaly import ImageVAEDetector
from vae_anomaly.metrics import auroc

BLIND, SEES = 0.65, 0.75
LEVELS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.30, 0.40, 0.50)
FIGURES = ("found", "best", "self_test")


def main() -> None:
    """Measure what is not measured yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--only", default="", help="cases whose names hold this")
    given = parser.parse_args()
    known = load(given.out) if given.out else pd.DataFrame()
    done = set(known["case"]) if len(known) else set()
    rows: list[dict[str, Any]] = known.to_dict("records")
    for case in all_cases(given.data):
        if case.name in done or given.only not in case.name:
            continue
        rows.append(measured(case, given.preset))
        print(rows[-1], flush=True)
        if given.out:
            keep(given.out, rows[-1])
    print_tables(pd.DataFrame(rows))


def measured(case: Case, preset: str) -> dict[str, Any]:
    """Fit on the good images and return what was predicted and what came of it."""
    detector = ImageVAEDetector(case.image_size, preset=preset, random_state=0).fit(case.train)
    scores = detector.anomaly_score([*case.good, *case.bad])
    labels = np.repeat([0, 1], [len(case.good), len(case.bad)])
    flags = scores > detector.threshold_.value
    shares = [one.share.estimate for one in detector.predicted_recall()]
    return {
        "case": case.name,
        "n": len(case.train),
        "self_test": detector.metrics_["self_test_auroc"],
        "found": float(np.mean(shares)),
        "best": max(shares),
        "recall": float(flags[labels == 1].mean()),
        "fpr": float(flags[labels == 0].mean()),
        "real": auroc(labels, scores),
    }


def print_tables(table: pd.DataFrame) -> None:
    """Print every case, the rank correlations, and how often a warning below a level is right."""
    print(table.sort_values("found").to_string(float_format="{:.3f}".format))
    for target in ("recall", "real"):
        ranks = {name: spearmanr(table[name], table[target]).statistic for name in FIGURES}
        told = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
        print(f"rank correlation with {target}, {len(table)} models: {told}")
    blind, sees = table["real"] < BLIND, table["real"] > SEES
    print(f"\nblind (real AUROC below {BLIND}): {blind.sum()}, seeing (above {SEES}): {sees.sum()}")
    print("best below  warned  blind  seeing")
    for level in LEVELS:
        warned = table["best"] < level
        counts = (int(part.sum()) for part in (warned, warned & blind, warned & sees))
        print(f"{level:10.2f} {' '.join(f'{count:7d}' for count in counts)}")


if __name__ == "__main__":
    main()
