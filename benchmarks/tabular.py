"""Compare `TabularVAEDetector` with other detectors on ADBench's classical sets.

Protocol: per seed the normals are shuffled, half of them train, the other half and all anomalies
are scored; the scaler sees training rows only; at most 10,000 rows on either side (share of
anomalies kept, at least 50 where there are). One configuration for all sets. Every result is
appended to the output file at once, and a result that is there is not computed again: a killed run
continues.

    python benchmarks/tabular.py DIR --seeds 5 --out results.jsonl
    python benchmarks/tabular.py DIR --seeds 1 --sets wine,Pima --peers 1-NN,IsolationForest

DIR holds ``*.npz`` with ``X`` (N, D) and ``y`` (N,), 1 = anomalous. Also reported, from the same
fit: the same composite without its VAE terms (``no-VAE control``), the latent term alone, and the
negative ELBO alone; and the share of test normals at p <= 0.01 and p <= 0.05. PyOD's networks are
slow: ``--slow-seeds`` says how many seeds they get.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from peers import PEERS, SLOW
from results_file import keep, load
from sklearn.metrics import average_precision_score, roc_auc_score

from vae_anomaly import TabularVAEDetector
from vae_anomaly.arrays import Floats, Ints

LIMIT = 10_000
MIN_ANOMALIES = 50
OURS = "vae-anomaly"
LOCAL_WEIGHT = 0.5  # of the local term in the composite


def split(path: Path, seed: int, limit: int = LIMIT) -> tuple[Floats, Floats, Ints]:
    """Return at most ``limit`` training rows, test rows and labels, standardised by the former."""
    train, test, y = raw_split(path, seed, limit)
    return *standardised(train, test), y


def standardised(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """Return both in standard deviations of the training rows."""
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0.0] = 1.0
    return (train - mean) / scale, (test - mean) / scale


def raw_split(path: Path, seed: int, limit: int = LIMIT) -> tuple[Floats, Floats, Ints]:
    """Return at most ``limit`` training rows, test rows and test labels as they are."""
    with np.load(path, allow_pickle=False) as file:
        X, y = file["X"].astype(np.float64), file["y"].astype(np.int64).ravel()
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(y == 0))
    odd = rng.permutation(np.flatnonzero(y == 1))
    half = len(normal) // 2
    train, rest = normal[:half][:limit], normal[half:]
    n = len(rest) + len(odd)
    if n > LIMIT:
        kept = min(len(odd), max(MIN_ANOMALIES, round(LIMIT * len(odd) / n)))
        odd, rest = odd[:kept], rest[: LIMIT - kept]
    test = np.concatenate([rest, odd])
    return X[train], X[test], y[test]


def measure_ours(
    train: Floats, test: Floats, y: Ints, seed: int, preset: str
) -> Iterator[dict[str, Any]]:
    """Yield the results of our detector, and of parts of its score."""
    began = time.process_time()
    detector = TabularVAEDetector(preset=preset, random_state=seed).fit(train)
    fit_s = time.process_time() - began
    began = time.process_time()
    verdicts = detector.assess(test)
    score_s = time.process_time() - began
    p = verdicts["p_value"].to_numpy()[y == 0]
    yield {
        "method": OURS,
        **quality(y, verdicts["raw_score"].to_numpy()),
        "fit_s": fit_s,
        "score_s": score_s,
        "fpr_at_0.01": float((p <= 0.01).mean()),
        "fpr_at_0.05": float((p <= 0.05).mean()),
    }
    evidence = detector.evidence(test)
    for name, score in parts_of(evidence).items():
        yield {"method": name, **quality(y, score)}


def parts_of(evidence: pd.DataFrame) -> dict[str, Floats]:
    """Return the composite without the VAE, the latent term, and the negative ELBO."""

    def added(kind: str) -> Floats:
        found = evidence.filter(regex=f"^{kind}_.*_surprise$").to_numpy()
        return np.asarray(found.sum(axis=1))

    return {
        "no-VAE control": added("data") + LOCAL_WEIGHT * added("local"),
        "latent only": added("latent"),
        "negative ELBO": evidence["negative_elbo"].to_numpy(),
    }


def measure_peer(name: str, train: Floats, test: Floats, y: Ints, seed: int) -> dict[str, Any]:
    """Return the results of another detector."""
    began = time.process_time()
    score = PEERS[name](train, test, seed)
    return {"method": name, **quality(y, score), "fit_s": time.process_time() - began}


def quality(y: Ints, score: Floats) -> dict[str, float]:
    """Return AUROC and average precision; a score that is not finite counts as the largest."""
    finite = np.where(np.isfinite(score), score, np.finfo(np.float64).max)
    return {
        "auroc": float(roc_auc_score(y, finite)),
        "ap": float(average_precision_score(y, finite)),
    }


def run(args: argparse.Namespace) -> pd.DataFrame:
    """Measure what is not yet in the output file, and return all of it."""
    out = Path(args.out)
    done = load(out)
    known = (
        set() if done.empty else set(zip(done["set"], done["seed"], done["method"], strict=True))
    )
    for path in chosen_sets(args):
        for seed in range(args.seeds):
            wanted = [OURS] if not args.no_ours else []
            wanted += [m for m in args.peers if m not in SLOW or seed < args.slow_seeds]
            missing = [m for m in wanted if (path.stem, seed, m) not in known]
            if missing:
                measure_set(path, seed, missing, args.preset, out)
    return load(out)


def measure_set(path: Path, seed: int, methods: list[str], preset: str, out: Path) -> None:
    """Measure some methods on one set and seed, and append the results."""
    train, test, y = split(path, seed)
    facts = {"set": path.stem, "seed": seed, "n": len(train), "d": train.shape[1]}
    for method in methods:
        if method == OURS:
            results = list(measure_ours(train, test, y, seed, preset))
        else:
            results = [measure_peer(method, train, test, y, seed)]
        keep(out, *({**facts, **result} for result in results))
        first = results[0]
        print(
            f"{path.stem} seed {seed} {method}: {first['auroc']:.4f} {first['ap']:.4f}", flush=True
        )


def chosen_sets(args: argparse.Namespace) -> list[Path]:
    """Return the files to run on, smallest first."""
    paths = sorted(Path(args.folder).glob("*.npz"), key=lambda p: (p.stat().st_size, p.name))
    if args.sets:
        paths = [p for p in paths if any(name in p.stem for name in args.sets.split(","))]
    if not paths:
        raise SystemExit(f"No *.npz of the wanted sets in {args.folder}.")
    return paths


def report(results: pd.DataFrame) -> None:
    """Print means over seeds for each set, means over sets, and the difference to ours."""
    pd.set_option("display.width", 250, "display.max_columns", 40)
    for measure in ("auroc", "ap"):
        runs = results.pivot_table(index=["set", "seed"], columns="method", values=measure)
        by_set = runs.groupby("set").mean()
        print(f"\n{measure} by set (mean over seeds)\n{by_set.round(4).to_string()}")
        print(f"\n{measure}: mean over {len(by_set)} sets; differences on the seeds of both")
        print(summary(runs).round(4).to_string())
    ours = results[results["method"] == OURS]
    if len(ours):
        rates = ours.groupby("set")[["fpr_at_0.01", "fpr_at_0.05", "fit_s"]].mean()
        print(f"\nours: false-positive rates on unseen normals, CPU seconds\n{rates.round(4)}")
        print(rates.mean().round(4).to_string())


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each method's mean over sets and its difference to ours, paired by set and seed."""
    lines = {}
    for method in runs:
        own = runs[method].dropna()
        line: dict[str, float] = {"sets": own.groupby("set").ngroups, "mean": mean_of_sets(own)}
        if OURS in runs:
            gap = (own - runs[OURS]).dropna().groupby("set").mean()
            line |= {
                "minus ours": gap.mean(),
                "standard error": gap.std() / np.sqrt(max(len(gap), 1)),
                "sets won by ours": int((gap < 0).sum()),
            }
        lines[method] = line
    return pd.DataFrame(lines).T.sort_values("mean", ascending=False)


def mean_of_sets(values: pd.Series) -> float:
    """Return the mean over sets of the mean over seeds."""
    return float(values.groupby("set").mean().mean())


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", help="folder of *.npz files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slow-seeds", type=int, default=1, help=f"seeds for {', '.join(SLOW)}")
    parser.add_argument("--sets", default="", help="parts of names, separated by commas")
    parser.add_argument("--peers", default=",".join(PEERS), help="names, or 'none'")
    parser.add_argument("--no-ours", action="store_true", help="peers only")
    parser.add_argument("--preset", default="default", choices=["default", "fast", "thorough"])
    parser.add_argument("--out", default="tabular-results.jsonl")
    parser.add_argument("--report-only", action="store_true")
    args = parser.parse_args()
    args.peers = [] if args.peers == "none" else args.peers.split(",")
    unknown = [name for name in args.peers if name not in PEERS]
    if unknown:
        parser.error(f"unknown peers {unknown}; known: {', '.join(PEERS)}")
    torch.set_num_threads(1)
    report(load(Path(args.out)) if args.report_only else run(args))


if __name__ == "__main__":
    main()
