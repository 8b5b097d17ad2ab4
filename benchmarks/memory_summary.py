"""What a memory finds and costs: its size, and a summary of many rows beside a uniform draw.

    OMP_NUM_THREADS=1 python benchmarks/memory_summary.py DIR --seeds 2 --out memory.jsonl

Protocol of ``benchmarks/tabular.py`` on ADBench's sets with more than 10,000 training normals, with
up to 60,000 of them. For each size a detector is fitted twice, with the same networks: its memory a
weighted summary, as shipped, or a uniform draw that is calibrated row by row, as of shorter tables.
``rows/s`` is `anomaly_score` of the test rows, ``fit`` CPU seconds. Results that are in the output
file are not computed again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import torch
from results_file import load
from tabular import LIMIT, quality, split

from vae_anomaly import TabularVAEDetector
from vae_anomaly.detectors.tabular.fit import memories as _tabular_memory

SETS = "donors,skin,ALOI,campaign"
ROWS = 60_000
SIZES = (2_240, 8_960, 35_840)


@contextmanager
def uniform_draw(wanted: bool) -> Iterator[None]:
    """Let no table be long enough for a summary."""
    before = _tabular_memory.MIN_ROWS
    _tabular_memory.MIN_ROWS = 10**9 if wanted else before
    try:
        yield
    finally:
        _tabular_memory.MIN_ROWS = before


def measure(path: Path, seed: int, memory: int, kind: str) -> dict[str, object]:
    """Fit and score one set, and return what came of it."""
    train, test, y = split(path, seed, ROWS)
    began = time.process_time()
    with uniform_draw(kind == "uniform"):
        detector = TabularVAEDetector(memory=memory, random_state=seed).fit(train)
    fit_s = time.process_time() - began
    began = time.process_time()
    score = detector.anomaly_score(test)
    score_s = time.process_time() - began
    p = detector.p_value(test[y == 0])
    return {
        "set": path.stem, "seed": seed, "n": len(train), "memory": memory, "kind": kind,
        **quality(y, score), "fit": fit_s, "rows/s": len(test) / score_s,
        "fpr_at_0.01": float((p <= 0.01).mean()), "fpr_at_0.05": float((p <= 0.05).mean()),
    }  # fmt: skip


def run(args: argparse.Namespace) -> pd.DataFrame:
    """Measure what is not yet in the output file, and return all of it."""
    out = Path(args.out)
    known = load(out)
    keys = ["set", "seed", "memory", "kind"]
    done = set() if known.empty else set(known[keys].itertuples(index=False, name=None))
    names = args.sets.split(",")
    paths = [p for p in sorted(Path(args.folder).glob("*.npz")) if any(n in p.stem for n in names)]
    for path in paths:
        for seed in range(args.seeds):
            if len(split(path, seed, ROWS)[0]) <= LIMIT:
                continue
            for memory in args.memory:
                for kind in ("uniform", "summary"):
                    if (path.stem, seed, memory, kind) in done:
                        continue
                    result = measure(path, seed, memory, kind)
                    with out.open("a") as file:
                        file.write(json.dumps(result) + "\n")
                    print(path.stem, seed, memory, kind, f"{result['auroc']:.4f}", flush=True)
    return load(out)


def report(results: pd.DataFrame) -> None:
    """Print means over seeds by set, and over sets."""
    pd.set_option("display.width", 200, "display.max_columns", 30)
    means = results.groupby(["set", "memory", "kind"]).mean(numeric_only=True)
    print(means.drop(columns=["seed"]).round(4).to_string())
    print(means.groupby(["memory", "kind"]).mean().drop(columns=["seed"]).round(4).to_string())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", help="folder of *.npz files")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", default=SETS, help="parts of names, separated by commas")
    parser.add_argument("--memory", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--out", default="memory.jsonl")
    args = parser.parse_args()
    torch.set_num_threads(1)
    report(run(args))


if __name__ == "__main__":
    main()
