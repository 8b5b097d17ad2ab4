"""Measure `ImageVAEDetector()` on VisA: image AUROC, pixel AUROC and AUPRO (30 % FPR).

    OMP_NUM_THREADS=1 python benchmarks/visa.py DIR
    OMP_NUM_THREADS=1 python benchmarks/visa.py DIR --categories candle pcb1 --presets fast

DIR holds the archive as it is unpacked: ``<category>/Data/Images/{Normal,Anomaly}``,
``<category>/Data/Masks/Anomaly`` and ``split_csv/1cls.csv`` (object, split, label, image, mask;
paths relative to DIR), the official one-class split, which ``--split`` names where it lies
elsewhere. The set is not ours to ship; its owner states the licence. One configuration serves all
categories, and no label chooses anything. Floors stand in the same tables. A mask is an image that
is not zero where the defect is; pixel figures are measured on a grid of 256 x 256. Results are
kept in ``--out`` one by one: a run that was ended continues.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from image_categories import choose, parser, run
from image_methods import Split

SPLIT = "split_csv/1cls.csv"
COLUMNS = ["object", "split", "label", "image", "mask"]


def read_table(path: Path) -> pd.DataFrame:
    """Return the rows of the official split."""
    if not path.is_file():
        raise SystemExit(f"{path} is missing. Name the official split with --split FILE.")
    table = pd.read_csv(path, dtype=str)
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise SystemExit(f"{path} has no column {', '.join(absent)}; it has {', '.join(table)}.")
    return table


def read(table: pd.DataFrame, root: Path, category: str) -> Split:
    """Return the split of a category: normal training images, and all test images."""
    rows = table[table["object"] == category]
    train = rows[(rows["split"] == "train") & (rows["label"] == "normal")]
    test = rows[rows["split"] == "test"]
    return Split(
        name=category,
        train=[root / path for path in train["image"]],
        groups=None,
        test=[root / path for path in test["image"]],
        kinds=np.where(test["label"] == "normal", "good", "bad"),
        masks=[root / path if isinstance(path, str) else None for path in test["mask"]],
    )


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "visa-results.jsonl")
    options.add_argument("--split", type=Path, help=f"left out: DIR/{SPLIT}")
    args = options.parse_args(arguments)
    table = read_table(args.split or args.folder / SPLIT)
    found = [name for name in table["object"].unique() if (args.folder / name).is_dir()]
    layout = "<category>/Data/Images/{Normal,Anomaly}"
    chosen = choose(found, args.categories, args.folder, layout)
    run(args, chosen, partial(read, table))


if __name__ == "__main__":
    main()
