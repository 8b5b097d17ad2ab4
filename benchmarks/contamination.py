"""What unmarked anomalies among the training rows cost, with and without ``contamination=``.

    python benchmarks/contamination.py DIR --seeds 1

Protocol: half of the normals train, at most 4,000. Half of the anomalies are set aside to be mixed
in, as many as make the wanted share of the training rows, or as there are; the other half and the
remaining normals are scored, at most 4,000 rows, the same at every share. Columns are standardised
by the training rows, anomalies included. Sets: those whose half of the anomalies is at least 20
rows and 2.5 % of the training normals; of ADBench's sets in DIR (``*.npz`` with ``X`` and ``y``)
these are fourteen. ``fpr`` is the share of test normals above the default threshold of 1 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from peers import PEERS
from tabular import MIN_ANOMALIES, OURS, chosen_sets, quality

from vae_anomaly import TabularVAEDetector
from vae_anomaly.arrays import Floats

LIMIT = 4_000
MIN_SET_ASIDE = 20
MIN_SHARE = 0.025
NEIGHBOURS = ("5-NN", "IsolationForest", "LOF")


class Split:
    """The rows of one set and seed: normals, anomalies set aside, and what is scored."""

    def __init__(self, path: Path, seed: int) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.X, y = file["X"].astype(np.float64), file["y"].astype(np.int64).ravel()
        self.rng = np.random.default_rng(seed)
        normal = self.rng.permutation(np.flatnonzero(y == 0))
        odd = self.rng.permutation(np.flatnonzero(y == 1))
        self.normal, rest = normal[: len(normal) // 2][:LIMIT], normal[len(normal) // 2 :]
        self.aside, odd = odd[: len(odd) // 2], odd[len(odd) // 2 :]
        n = len(rest) + len(odd)
        if n > LIMIT:
            kept = min(len(odd), max(MIN_ANOMALIES, round(LIMIT * len(odd) / n)))
            odd, rest = odd[:kept], rest[: LIMIT - kept]
        self.scored = np.concatenate([rest, odd])
        self.y = y[self.scored]

    @property
    def usable(self) -> bool:
        """Whether there are anomalies enough to mix in."""
        return len(self.aside) >= max(MIN_SET_ASIDE, MIN_SHARE * len(self.normal))

    def at(self, share: float) -> tuple[Floats, Floats, float]:
        """Return training rows, rows to score, and the share of anomalies that was reached."""
        wanted = round(share * len(self.normal) / (1.0 - share))
        mixed_in = self.aside[:wanted]
        rows = self.rng.permutation(np.concatenate([self.normal, mixed_in]))
        mean, scale = self.X[rows].mean(axis=0), self.X[rows].std(axis=0)
        scale[scale == 0.0] = 1.0
        train, test = ((self.X[part] - mean) / scale for part in (rows, self.scored))
        return train, test, len(mixed_in) / len(rows)


def measure(split: Split, share: float, seed: int) -> list[dict[str, Any]]:
    """Return one result for each method at one share of anomalies."""
    train, test, reached = split.at(share)
    found = {}
    for name, c in ((OURS, 0.0), (f"{OURS}, contamination=c", share)):
        if c or name == OURS:
            detector = TabularVAEDetector(contamination=c, random_state=seed).fit(train)
            verdicts = detector.assess(test)
            fpr = float(verdicts["is_anomaly"].to_numpy()[split.y == 0].mean())
            found[name] = {**quality(split.y, verdicts["raw_score"].to_numpy()), "fpr": fpr}
    for peer in NEIGHBOURS:
        found[peer] = quality(split.y, PEERS[peer](train, test, seed))
    return [{"share": share, "reached": reached, "method": m, **f} for m, f in found.items()]


def report(results: pd.DataFrame) -> None:
    """Print means over sets, and what each share costs against the default without any."""
    pd.set_option("display.width", 200, "display.max_columns", 20)
    by_set = results.groupby(["method", "share", "set"]).mean(numeric_only=True)
    mean = by_set.groupby(["method", "share"]).mean()
    n_sets, reached = results["set"].nunique(), mean["reached"].groupby("share").mean()
    print(f"\nmean over {n_sets} sets; shares reached: {reached.round(4).to_dict()}")
    for measure_name in ("auroc", "ap", "fpr"):
        table = mean.pivot_table(index="method", columns="share", values=measure_name)
        print(f"\n{measure_name}\n{table.round(4).to_string()}")
        if measure_name != "fpr":
            loss = table.loc[OURS, 0.0] - table.filter(like=OURS, axis=0)
            print(f"loss of {measure_name} against the clean fit\n{loss.round(4).to_string()}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", help="folder of *.npz files")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--sets", default="", help="parts of names, separated by commas")
    parser.add_argument("--shares", default="0,0.01,0.05,0.1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for path in chosen_sets(args):
        for seed in range(args.seeds):
            split = Split(path, seed)
            if not split.usable:
                continue
            for share in map(float, args.shares.split(",")):
                rows += [{"set": path.stem, **found} for found in measure(split, share, seed)]
            print(f"{path.stem} seed {seed}: {len(split.normal)} normals", flush=True)
    report(pd.DataFrame(rows))


if __name__ == "__main__":
    main()
