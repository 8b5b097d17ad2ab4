"""One fixed configuration on every category of a public set: figures of each, and their mean.

Shared by ``mvtec.py`` and ``visa.py``. A result is a line of the output file, written at once; one
that is there is not computed again, so that a killed run continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from image_methods import Method, Split, figures, floors, ours
from results_file import keep, load

GRID = 256  # side on which pixel figures are measured, as in most publications
COLUMNS = {"image": "image AUROC", "pixel": "pixel AUROC", "aupro": "AUPRO", "fit CPU s": "CPU s"}
Reader = Callable[[Path, str], Split]


def measure(args: argparse.Namespace, categories: list[str], read: Reader) -> pd.DataFrame:
    """Measure what is not yet in the output file, and return what was asked for."""
    methods = ours(args.presets, args.image_size) | ({} if args.no_floors else floors())
    for category in categories:
        for name, method in missing(args, category, methods):
            split = read(args.folder, category)
            row = {"category": category, "method": name, "image_size": args.image_size}
            row |= {"n_train": len(split.train), "n_test": len(split.test)}
            row |= figures(split, method(split), GRID)
            keep(args.out, row)
            print(f"{category}, {name}: image AUROC {row['image']:.1f} %", flush=True)
    kept = load(args.out)
    wanted = kept["category"].isin(categories) & kept["method"].isin(list(methods))
    return kept[wanted & (kept["image_size"] == args.image_size)]


def missing(
    args: argparse.Namespace, category: str, methods: dict[str, Method]
) -> Iterator[tuple[str, Method]]:
    """Yield the methods of which there is no result for a category."""
    kept = load(args.out)
    known = (
        set()
        if kept.empty
        else set(zip(kept["category"], kept["method"], kept["image_size"], strict=True))
    )
    for name, method in methods.items():
        if (category, name, args.image_size) not in known:
            yield name, method


def report(results: pd.DataFrame) -> str:
    """Return one table a figure: methods across, categories down, the mean below."""
    tables = []
    for column, title in COLUMNS.items():
        if column in results and results[column].notna().any():
            table = results.pivot_table(
                index="category", columns="method", values=column, sort=False
            )
            table.loc["mean"] = table.mean()
            unit = "" if title.endswith("s") else ", %"
            tables.append(f"\n{title}{unit}\n{table.round(1).to_string()}")
    return "\n".join(tables)


def choose(found: list[str], wanted: list[str] | None, folder: Path, layout: str) -> list[str]:
    """Return the categories to run on; tell what is expected where there are none."""
    if not found:
        raise SystemExit(f"{folder} has no category in the layout {layout}. Check the path.")
    unknown = sorted(set(wanted or []) - set(found))
    if unknown:
        raise SystemExit(f"{folder} has no {', '.join(unknown)}; there are {', '.join(found)}.")
    return wanted or found


def parser(text: str, out: str) -> argparse.ArgumentParser:
    """Return what both scripts may be asked."""
    arguments = argparse.ArgumentParser(description=text.split("\n", maxsplit=1)[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--categories", nargs="+", help="left out: all")
    arguments.add_argument("--presets", nargs="+", default=["default"])
    arguments.add_argument("--image-size", type=int, default=256)
    arguments.add_argument("--no-floors", action="store_true")
    arguments.add_argument("--out", type=Path, default=Path(out))
    return arguments


def run(args: argparse.Namespace, categories: list[str], read: Reader) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    print(report(measure(args, categories, read)))
