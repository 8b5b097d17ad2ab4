"""The marks of the image detector: one configuration on every set, in one table.

    python benchmarks/images.py --all DATA --out marks.jsonl
    python benchmarks/images.py --all DATA --out marks.jsonl --presets fast --sets bottle casting
    python benchmarks/images.py --all DATA --out marks.jsonl --features FILE.py --layers 5 9 12

DATA holds the folders ``magnetic_tiles``, ``bottle``, ``kolektorsdd``, ``solar_poly`` and
``casting`` (`image_sets.py`). The mean is that of these five, for pixel figures that of the sets
with masks; turned sets and the demo stand below.

``recall`` is the mark: the share of defective images that the detector flags at its own 1 %
threshold, which it has set without any test image, as an owner has it. ``false alarms`` are the
good test images flagged by the same threshold, and are to be read with it: recall that was bought
by them is none. ``recall, measured`` sets the threshold by the good test images instead, where at
most 1 % of them exceed it (none of fewer than 100): it does not ask whether the stated rate is
kept, compares methods that set no threshold, and is one image's accident in small sets.

``--features`` is ``timm:NAME``, a file that the detector reads itself, or a Python file with one
public class of torch modules that are built with ``layers=`` (``--layers``). A result is a line
of JSON, known by set, split, method, seed, size and number of training images: a run that was
killed continues, and a measurement of another version wants another file.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from image_methods import Split, Verdict, figures, measure_ours
from image_sets import ALL, DEMO, FIVE, check_sets, splits_of_set, with_few
from results_file import keep, load
from torch import nn

from vae_anomaly.jobs.demo import DEFECTIVE, GOOD_TEST

COLUMNS = {
    "image": "image AUROC",
    "pixel": "pixel AUROC",
    "aupro": "AUPRO",
    "recall": "recall",
    "false alarms": "false alarms",
    "recall, measured": "recall, measured",
    "fit CPU s": "fit CPU s",
    "images/s": "images/s",
}
Seeded = Callable[[Split, int], Verdict]
"""Measures a method on a split with a seed."""

KEYS = ["set", "split", "method", "seed", "image_size", "max_train"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the marks may be asked."""
    parser.add_argument("--all", type=Path, metavar="DATA", help="print every mark in one table")
    parser.add_argument("--sets", nargs="+", default=list(ALL), help="some of the sets, or folders")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--max-train", type=int, help="good images to train on, at most")
    parser.add_argument("--features", help="backbone: timm:NAME, a file, or a Python module")
    parser.add_argument("--weights", help="features_weights=, for timm:NAME")
    parser.add_argument("--layers", type=int, nargs="+", help="of the Python module's class")


def run(args: argparse.Namespace) -> str:
    """Measure what is not yet in the output file, and return the tables of what was asked for."""
    check_sets(args.all, args.sets)
    methods = configurations(args)
    rows = [row for name in args.sets for row in measured(args, name, methods)]
    return report(pd.DataFrame(rows))


def configurations(args: argparse.Namespace) -> dict[str, Seeded]:
    """Return our detector with each preset, by the name of the method."""
    given: dict[str, Any] = {"image_size": args.image_size, "register": args.register}
    named = "vae-anomaly"
    if args.features:
        given["features"] = backbone(args.features, args.layers)
        given["features_weights"] = args.weights
        named += f" on {Path(args.features).stem}" + "".join(f" {n}" for n in args.layers or ())
    return {f"{named}, {preset}": partial(_ours, preset=preset, **given) for preset in args.presets}


def _ours(split: Split, seed: int, **parameters: Any) -> Verdict:
    return measure_ours(split, random_state=seed, **parameters)


def backbone(features: str, layers: list[int] | None) -> nn.Module | str:
    """Return the module of a Python file; anything else is the detector's to read."""
    if not features.endswith(".py"):
        return features
    spec = importlib.util.spec_from_file_location(Path(features).stem, features)
    if spec is None or spec.loader is None or not Path(features).is_file():
        raise SystemExit(f"--features {features} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    classes = [
        kind
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, nn.Module)
        and kind.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if len(classes) != 1:
        raise SystemExit(f"{features} must have one public class of modules; got {len(classes)}.")
    built: nn.Module = classes[0](**({"layers": layers} if layers else {}))
    return built


def measured(
    args: argparse.Namespace, name: str, methods: dict[str, Seeded]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a set, those of the output file as they are."""
    for seed in args.seeds:
        for whole in splits_of_set(args.all, name, seed):
            few = args.max_train and args.max_train < len(whole.train)
            split = with_few(whole, args.max_train, seed) if few else whole
            for method, score in methods.items():
                key = [name, whole.name, method, seed, args.image_size, args.max_train or 0]
                where = dict(zip(KEYS, key, strict=True))
                yield known(args.out, where) or measure(args, where, split, score)


def known(out: Path | None, where: dict[str, Any]) -> dict[str, Any] | None:
    """Return the row of the output file with these keys."""
    kept = pd.DataFrame() if out is None else load(out)
    if kept.empty:
        return None
    found = kept[(kept[KEYS] == pd.Series(where)).all(axis=1)]
    return None if found.empty else {str(k): v for k, v in found.iloc[-1].items()}


def measure(
    args: argparse.Namespace, where: dict[str, Any], split: Split, method: Seeded
) -> dict[str, Any]:
    """Fit and score one split; keep and print the row."""
    row = where | {"n_train": len(split.train), "n_test": len(split.test)}
    row |= figures(split, method(split, where["seed"]))
    if args.out:
        keep(args.out, row)
    told = [f"{title} {row[column]:.1f}" for column, title in COLUMNS.items() if column in row]
    print(f"{split.name}, {where['method']}, seed {where['seed']}: {', '.join(told)}", flush=True)
    return row


def report(rows: pd.DataFrame) -> str:
    """Return one table a method: sets down, the mean of the five below them."""
    parts = []
    for method, found in rows.groupby("method", sort=False):
        numbers = found.reindex(columns=["set", "seed", *COLUMNS])
        by_set = numbers.groupby(["set", "seed"], sort=False).mean().groupby("set", sort=False)
        table = by_set.mean()
        five = [name for name in FIVE if name in table.index]
        others = [name for name in table.index if name not in five]
        mean = table.loc[five].mean().rename(f"mean of {len(five)}").to_frame().T
        table = pd.concat([table.loc[five], mean, table.loc[others]])
        parts.append(
            f"\n{method}, %\n{table.rename(columns=COLUMNS).round(1).to_string(na_rep='')}"
        )
        parts += demo_words(table)
    return "\n".join(parts)


def demo_words(table: pd.DataFrame) -> list[str]:
    """Return what was found of the planted defects of the demo, if it was measured."""
    if DEMO not in table.index:
        return []
    found = table.loc[DEMO, "recall"] * DEFECTIVE / 100
    alarms = table.loc[DEMO, "false alarms"] * GOOD_TEST / 100
    return [
        f"demo: {found:.4g} of {DEFECTIVE} planted defects found, "
        f"{alarms:.4g} of {GOOD_TEST} good ones flagged"
    ]
