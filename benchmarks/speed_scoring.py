"""Measure how many rows a second `TabularVAEDetector` scores on one core, beside scikit-learn.

    OMP_NUM_THREADS=1 python benchmarks/speed_scoring.py
    OMP_NUM_THREADS=1 python benchmarks/speed_scoring.py --data DIR --sets 1_ALOI,33_skin

Generated tables have 10, 30 and 60 columns: curved mixtures of fewer factors, a third of the
columns with heavy tails, a tenth of them whole numbers. DIR holds ADBench's ``*.npz`` with ``X``
(N, D) and ``y`` (N,), 1 = anomalous; half of the normals train. All contenders get the same rows:
at most 12,500 to train, which fills the memories, and at most 20,000 to score. The clock counts CPU
seconds of this process; every repeat scores with each contender in turn, and the median counts.
``assess`` is timed whole: reading the array, scores, p-values and flags.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from vae_anomaly import TabularVAEDetector
from vae_anomaly.arrays import Floats

Scorer = Callable[[Floats], Any]
TRAIN, TEST = 12_500, 20_000
WIDTHS = (10, 30, 60)


def generated(d: int, n: int, seed: int) -> Floats:
    """Return n rows of a table of d columns, shape (n, d)."""
    loadings = np.random.default_rng(d).normal(size=(max(d // 3, 2), d))
    rng = np.random.default_rng([d, seed])
    table = np.tanh(rng.normal(size=(n, len(loadings))) @ loadings / 1.5)
    table += 0.2 * rng.normal(size=(n, d))
    table[:, ::3] = np.exp(1.2 * table[:, ::3])
    table[:, 1::10] = np.round(table[:, 1::10])
    return table


def half(path: Path) -> tuple[Floats, Floats]:
    """Return half of the normal rows of a set, and what is left, in random order."""
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"].astype(np.float64), file["y"].ravel()
    rng = np.random.default_rng(0)
    normal = rng.permutation(np.flatnonzero(y == 0))
    n = min(len(normal) // 2, TRAIN)
    rest = rng.permutation(np.concatenate([normal[n:], np.flatnonzero(y == 1)]))
    return X[normal[:n]], X[rest[:TEST]]


def tables(args: argparse.Namespace) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield name, training rows and rows to score."""
    for d in WIDTHS:
        yield f"generated, {d}", generated(d, TRAIN, 0), generated(d, TEST, 1)
    if args.data:
        wanted = args.sets.split(",") if args.sets else None
        for path in sorted(Path(args.data).glob("*.npz")):
            if wanted is None or path.stem in wanted:
                yield (path.stem, *half(path))


def contenders(train: Floats) -> dict[str, Scorer]:
    """Return what scores rows, trained."""
    default = TabularVAEDetector(random_state=0).fit(train)
    fast = TabularVAEDetector(preset="fast", random_state=0).fit(train)
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train)
    forest = IsolationForest(random_state=0).fit(train)
    return {
        "default": default.assess,
        "fast": fast.assess,
        "1-NN": nearest.kneighbors,
        "forest": forest.score_samples,
    }


def cpu_seconds(scorer: Scorer, test: Floats) -> float:
    """Return the CPU seconds that scoring takes."""
    start = time.process_time()
    scorer(test)
    return time.process_time() - start


def speeds(scorers: dict[str, Scorer], test: Floats, repeats: int) -> dict[str, float]:
    """Return rows a CPU second of each contender, the median of interleaved repeats."""
    for scorer in scorers.values():
        scorer(test[:1000])
    found: dict[str, list[float]] = {name: [] for name in scorers}
    for _ in range(repeats):
        for name, scorer in scorers.items():
            found[name].append(len(test) / cpu_seconds(scorer, test))
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of ADBench's sets")
    parser.add_argument("--sets", help="names of sets, with commas between; left out: all")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, one core")
    print(f"{'rows / CPU s':18}{'D':>4}{'rows':>7}{'default':>10}{'fast':>10}", end="")
    print(f"{'1-NN':>10}{'forest':>10}{'default is':>26}")
    for name, train, test in tables(args):
        got = speeds(contenders(train), test, args.repeats)
        print(f"{name:18}{test.shape[1]:4}{len(test):7,}", end="")
        print("".join(f"{speed:10,.0f}" for speed in got.values()), end="")
        ours = got["default"]
        print(f"{ours / got['1-NN']:8.1f} x 1-NN,{ours / got['forest']:6.1f} x forest", flush=True)


if __name__ == "__main__":
    main()
