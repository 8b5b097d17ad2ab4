"""Stated false-positive rates against what unseen normals get, on every development set.

    python benchmarks/calibration.py DIR --out calibration.jsonl
    python benchmarks/calibration.py DIR --report-only --out calibration.jsonl

DIR holds ``adbench/*.npz``, ``tables/`` with ``tables.json``, ``transactions/`` and, with
``--images PRESET``, ``magnetic_tiles/`` and ``bottle/``. Per set and seed half of the normals train
(as in tabular.py and tables.py); each method sets a threshold for a stated rate; counted is how
many of the other normals it flags. No anomaly is used. Compared in the same run:

* ``ours``: `Threshold.from_fpr` on the normals that the detector held out;
* ``training quantile``: the quantile 1 - rate of the same detector's scores of its training rows;
* ``PyOD NAME``: its ``threshold_`` with ``contamination=rate`` (``pip install pyod``).

**The band.** A threshold is the k-th largest of n held-out scores, k = floor(rate (n + 1)). Two
things are random: the m test normals, and the n that set the threshold. Given the threshold the
number flagged is binomial with its true rate; over calibration sets that rate follows
Beta(k, n + 1 - k). Together the number flagged is **beta-binomial(m, k, n + 1 - k)**, whatever the
distribution of the scores, if normals are exchangeable and scores have no ties. Its central 95 %
is the band. Where j < k scores lie strictly above a tied threshold, the number flagged lies between
the laws of j and of k, and the band runs from the lower end of the one to the upper end of the
other. The plain binomial band takes the stated rate for the true one and forgives only the test
set: even a perfect method leaves it more often than 1 time in 20 when m is not much smaller than n.
Peers get the band with n = training rows, as if these were new to them.

Rates that n normals cannot state (n + 1 < 1 / rate) are left out for all methods, and counted.
Tables go in as they are: every detector standardises by itself. Scaling all training rows at once
beforehand would break the exchangeability that conformal calibration rests on: the only 1 among 799
training rows becomes 28 standard deviations, a first 1 among new rows stays 1.

``later`` and ``official`` sets test on other days or another network than they train on: nothing
promises that their normals are exchangeable, so they are also summed apart.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tables
import torch
from encoded import encoded_numbers
from results_file import load
from scipy import stats
from tabular import LIMIT, raw_split, standardised

from vae_anomaly import ImageVAEDetector, TabularVAEDetector, Threshold
from vae_anomaly.arrays import Floats
from vae_anomaly.data.images.folders import list_images

RATES = (0.05, 0.01, 0.005)
OURS, TRAINING = "ours", "training quantile"
PYOD = {"IForest": ("iforest", "IForest"), "KNN": ("knn", "KNN"), "ECOD": ("ecod", "ECOD")}
FIRST_DAYS, EVERY = 30, 4


@dataclass(frozen=True)
class Normals:
    """Normals of one set: those that train, those that are counted, and how they were split."""

    name: str
    kind: str
    train: Any
    test: Any
    columns: dict[str, str] | None = None  # kinds of columns, of a mixed table


def every_set(args: argparse.Namespace, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield the name of every set that is wanted, and a function that reads it."""
    folder = Path(args.folder)
    for path in sorted((folder / "adbench").glob("*.npz"), key=lambda p: p.stat().st_size):
        yield path.stem, lambda path=path: numbers(path, seed)
    if (folder / "tables" / "tables.json").exists():
        known = json.loads((folder / "tables" / "tables.json").read_text())
        for name in (name for name in known if not name.endswith("_test")):
            yield name, lambda name=name: mixed(folder / "tables", name, known[name], seed)
            if (folder / "tables" / f"{name.rsplit('_', 1)[0]}_test.parquet").exists():
                yield (
                    f"{name} official",
                    lambda name=name: official(folder / "tables", name, known[name], seed),
                )
    if (folder / "transactions").exists():
        yield "transactions", lambda: days(folder / "transactions", seed)
    for name in ("bottle", "magnetic_tiles") if args.images else ():
        if (folder / name).exists():
            yield name, lambda name=name: good_images(folder / name)


def numbers(path: Path, seed: int) -> Normals:
    """Read one of ADBench's sets, not standardised: see above."""
    train, test, y = raw_split(path, seed)
    return Normals(path.stem, "random", train, test[y == 0])


def mixed(folder: Path, name: str, facts: dict[str, Any], seed: int) -> Normals:
    """Read a mixed table, and halve its normals at random."""
    frame, label = tables.read(folder, name, facts)
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(label == 0))
    half = len(normal) // 2
    train, test = (
        frame.iloc[rows[:LIMIT]].reset_index(drop=True) for rows in (normal[:half], normal[half:])
    )
    return Normals(name, "random", train, test, declared(facts, train))


def official(folder: Path, name: str, facts: dict[str, Any], seed: int) -> Normals:
    """Read a table whose test rows are a file of their own."""
    train, test, y = tables.split(folder, name, facts, seed)
    train, test = (part.reset_index(drop=True) for part in (train, test[y.to_numpy() == 0]))
    return Normals(f"{name} official", "official", train, test, declared(facts, train))


def declared(facts: dict[str, Any], frame: pd.DataFrame) -> dict[str, str]:
    """Return the kinds of columns that the set's description names."""
    kinds = dict.fromkeys(facts.get("cat", []), "categorical")
    kinds |= dict.fromkeys(facts.get("time", []), "timestamp")
    return {column: kind for column, kind in kinds.items() if column in frame}


def days(folder: Path, seed: int) -> Normals:
    """Read card payments: sampled normals of 30 days train, every fourth later day is counted."""
    files = sorted(folder.glob("*.parquet"))
    columns = ["TX_AMOUNT", "TX_DATETIME"]

    def normals(chosen: list[Path]) -> pd.DataFrame:
        frame = pd.concat([pd.read_parquet(file) for file in chosen], ignore_index=True)
        return frame[frame["TX_FRAUD"] == 0][columns].reset_index(drop=True)

    past = normals(files[:FIRST_DAYS])
    kept = np.random.default_rng(seed).permutation(len(past))[:LIMIT]
    train = past.iloc[np.sort(kept)].reset_index(drop=True)
    return Normals("transactions", "later", train, normals(files[FIRST_DAYS::EVERY]))


def good_images(folder: Path) -> Normals:
    """List the good images of a folder in the MVTec layout; tiles stay together."""
    good = [item for item in list_images(folder) if item.is_anomaly is False]
    train = [item for item in good if item.split == "train"]
    test = [item for item in good if item.split == "test"]
    return Normals(folder.name, "images", train, test)


def measure(normals: Normals, seed: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return one row for each method and rate that the held-out normals of ours support."""
    detector, groups = fitted(normals, seed, args)
    held_out = detector.calibration_.reference_scores()
    n, test = len(held_out), detector.anomaly_score(normals.test)
    seen = detector.anomaly_score(normals.train)
    rates = [rate for rate in RATES if rate * (n + 1) >= 1 - 1e-9]
    rows = [one(OURS, rate, Threshold.from_fpr(held_out, rate).value, held_out, test)
            for rate in rates]  # fmt: skip
    rows += [one(TRAINING, rate, np.quantile(seen, 1 - rate), seen, test) for rate in rates]
    rows += list(pyod_rows(normals, detector, rates, args)) if normals.kind != "images" else []
    facts = {"set": normals.name, "split": normals.kind, "seed": seed, "n_held_out": n}
    facts |= {"n_train": len(normals.train), "m": len(test), "groups": groups}
    return [{**facts, **row} for row in rows]


def fitted(normals: Normals, seed: int, args: argparse.Namespace) -> tuple[Any, int]:
    """Return our detector of a set, and how many groups its normals were held out by."""
    if normals.kind != "images":
        made = TabularVAEDetector(
            preset=args.preset, column_kinds=normals.columns, random_state=seed
        )
        return made.fit(normals.train), 0
    made = ImageVAEDetector(preset=args.images, random_state=seed)
    known = Path(args.folder) / normals.name / "groups.csv"
    if not known.exists():
        return made.fit(normals.train), 0
    tile = pd.read_csv(known).set_index("path")["tile"]
    groups = [str(tile[item.id]) for item in normals.train]
    return made.fit(normals.train, groups=groups), len(set(groups))


def pyod_rows(
    normals: Normals, detector: Any, rates: list[float], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield what PyOD's contamination thresholds do on the same normals."""
    from importlib import import_module

    train, test = normals.train, normals.test
    if isinstance(train, pd.DataFrame):
        train, (test,) = encoded_numbers(detector.schema_, train, [test])
    else:
        train, test = standardised(train, test)
    for name in args.pyod:
        module, factory = PYOD[name]
        for rate in rates:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                peer = getattr(import_module(f"pyod.models.{module}"), factory)(contamination=rate)
                peer.fit(train)
                scores = np.asarray(peer.decision_function(test))
            seen = np.asarray(peer.decision_scores_)
            yield one(f"PyOD {name}", rate, float(peer.threshold_), seen, scores)


def one(method: str, rate: float, bound: float, behind: Floats, test: Floats) -> dict[str, Any]:
    """Return what a threshold flags, and what the band needs to know of the scores behind it."""
    return {
        "method": method,
        "rate": rate,
        "n": len(behind),
        "above": int(np.sum(behind > bound)),
        "flagged": int(np.sum(test > bound)),
    }


def band(rate: float, n: int, above: int, m: int) -> tuple[float, float]:
    """Return the central 95 % of the number flagged among m normals, both samples finite."""
    k = max(1, math.floor(rate * (n + 1) + 1e-9))
    lowest = min(k, above) if above + 1 < k else k  # fewer than k - 1 above: the bound is a tie
    low = stats.betabinom.ppf(0.025, m, lowest, n + 1 - lowest) if lowest else 0.0
    return float(low), float(stats.betabinom.ppf(0.975, m, k, n + 1 - k))


def judged(results: pd.DataFrame) -> pd.DataFrame:
    """Add the rate that was reached, and whether it lies in the two bands."""
    table = results.copy()
    table["fpr"] = table["flagged"] / table["m"]
    keys = zip(table["rate"], table["n"], table["above"], table["m"], strict=True)
    table[["low", "high"]] = [band(*key) for key in keys]
    table["inside"] = table["flagged"].between(table["low"], table["high"])
    plain = stats.binom.ppf([[0.025], [0.975]], table["m"], table["rate"])
    table["inside plain"] = table["flagged"].between(*plain)
    table["over"] = table["flagged"] > table["high"]
    return table


def report(results: pd.DataFrame) -> None:
    """Print every set's rates, and the share of cells inside the bands."""
    pd.set_option("display.width", 250, "display.max_columns", 40, "display.max_rows", 500)
    table = judged(results)
    ours = table[table["method"] == OURS].copy()
    ours["cell"] = [
        f"{100 * r.fpr:.2f} [{100 * r.low / r.m:.2f}, {100 * r.high / r.m:.2f}]"
        + ("" if r.inside else " OUT")
        for r in ours.itertuples()
    ]
    keys = ["set", "split", "seed", "n_held_out", "m"]
    cells = ours.set_index([*keys, "rate"])["cell"].unstack("rate")  # noqa: PD010 - text
    print("Ours: % of unseen normals flagged [95 % band]\n")
    print(cells[sorted(cells, reverse=True)].fillna("-").to_string())
    left_out = len(cells) * len(RATES) - len(ours)
    print(f"\n{left_out} of {len(cells) * len(RATES)} cells left out: too few held-out normals")
    for title, part in parts(table).items():
        print(f"\nShare of cells inside, {title}\n{summary(part).to_string()}")


def parts(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return all results, those whose normals are exchangeable, and these by how ours held out.

    Large tables keep rows apart that no part of the detector sees, and the beta-binomial law is
    exact. Small ones are cross-fitted: each row is scored by a detector trained without its fold,
    and the final one, trained on all, may score a little lower or higher.
    """
    same = table[~table["split"].isin(["later", "official"])]
    apart = same["n_held_out"] < same["n_train"]
    return {
        "all sets": table,
        "without later and official": same,
        "of these: rows held out": same[apart],
        "of these: cross-fitted": same[~apart],
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for each method and rate and over all rates, the shares of cells inside the bands."""
    every = pd.concat([table, table.assign(rate="all")])
    found = every.groupby(["method", "rate"], sort=False)
    return pd.DataFrame(
        {
            "cells": found.size(),
            "inside": found["inside"].sum(),
            "share": found["inside"].mean().round(3),
            "share, plain binomial": found["inside plain"].mean().round(3),
            "too many flags": found["over"].sum(),
            "mean FPR": found["fpr"].mean().round(4),
        }
    )


def run(args: argparse.Namespace) -> pd.DataFrame:
    """Measure the sets that are not yet in the output file, and return all results."""
    out = Path(args.out)
    done = load(out)
    known = set() if done.empty else set(zip(done["set"], done["seed"], strict=True))
    every = [(seed, *one_set) for seed in range(args.seeds) for one_set in every_set(args, seed)]
    for seed, name, read in every:
        wanted = not args.sets or any(part in name for part in args.sets.split(","))
        if not wanted or (name, seed) in known:
            continue
        began = time.process_time()
        rows = measure(read(), seed, args)
        with out.open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        print(f"{name} seed {seed}: {time.process_time() - began:.0f} CPU s", flush=True)
    return load(out)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", help="folder with adbench/, tables/, transactions/, ...")
    parser.add_argument("--seeds", type=int, default=1, help="splits of each set")
    parser.add_argument("--sets", default="", help="parts of names, separated by commas")
    parser.add_argument("--preset", default="default", choices=["default", "fast", "thorough"])
    parser.add_argument("--images", choices=["default", "fast"], help="images, with this preset")
    parser.add_argument("--pyod", default=",".join(PYOD), help="names, or 'none'")
    parser.add_argument("--out", default="calibration.jsonl")
    parser.add_argument("--report-only", action="store_true")
    args = parser.parse_args()
    args.pyod = [] if args.pyod == "none" else args.pyod.split(",")
    try:
        import pyod  # noqa: F401  # asked whether it is there
    except ImportError:
        print("PyOD is not installed (pip install pyod): its thresholds are not compared.")
        args.pyod = []
    torch.set_num_threads(1)
    results = load(Path(args.out)) if args.report_only else run(args)
    if results.empty:
        parser.error(f"no set of the wanted ones in {args.folder}, no result in {args.out}")
    report(results)


if __name__ == "__main__":
    main()
