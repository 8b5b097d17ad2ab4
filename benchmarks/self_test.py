"""Ask what the self-test of image detectors is worth: its figure beside the AUROC on real defects.

    python benchmarks/self_test.py DATA [--out RESULTS.jsonl] [--preset fast] [--only bottle]

DATA holds the image sets ``bottle, casting, kolektorsdd, magnetic_tiles, solar_poly`` in the MVTec
layout and ``small_images/mnist.npz, fashion_mnist.npz``; `self_test_cases.py` says what is made of
them. With ``--out`` each case is kept as a line, a killed run goes on, and cases that are there are
only printed. A warning at a level is *right* where the AUROC on the real test is below .65.
Set OMP_NUM_THREADS=1; all cases take about ten minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results_file import keep, load
from self_test_cases import Case, all_cases

from vae_anomaly import ImageVAEDetector
from vae_anomaly.metrics import auroc

BLIND = 0.65
LEVELS = (0.50, 0.52, 0.53, 0.54, 0.55, 0.56, 0.58, 0.60, 0.65, 0.70)


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
    """Fit on the good images and return both figures."""
    detector = ImageVAEDetector(case.image_size, preset=preset, random_state=0).fit(case.train)
    scores = detector.anomaly_score([*case.good, *case.bad])
    labels = np.repeat([0, 1], [len(case.good), len(case.bad)])
    return {
        "case": case.name,
        "n": len(case.train),
        "self_test": detector.metrics_["self_test_auroc"],
        "real": auroc(labels, scores),
    }


def print_tables(table: pd.DataFrame) -> None:
    """Print every case, and for each level how often a warning below it is right."""
    print(table.sort_values("self_test").to_string(float_format="{:.3f}".format))
    print(f"\nblind models (real AUROC below {BLIND}): {(table['real'] < BLIND).sum()}")
    print("level  warnings  right  share  blind ones named")
    for level in LEVELS:
        warned = table["self_test"] < level
        right = int((warned & (table["real"] < BLIND)).sum())
        share = right / max(1, int(warned.sum()))
        named = right / max(1, int((table["real"] < BLIND).sum()))
        print(f"{level:.2f} {int(warned.sum()):8d} {right:8d} {share:7.0%} {named:10.0%}")


if __name__ == "__main__":
    main()
