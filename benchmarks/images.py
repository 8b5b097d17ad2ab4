"""Measure `ImageVAEDetector` on folders in the MVTec layout, beside floors, peers and members.

    python benchmarks/images.py --all DATA                      every mark in one table
    python benchmarks/images.py DIR --protocol tiles-folds      five tile-disjoint folds
    python benchmarks/images.py DIR --protocol fold0            the folder tree as it lies
    python benchmarks/images.py DIR --protocol published        the split of the literature (leaks)
    python benchmarks/images.py --bottle DIR                    turned, moved, tinted, dark, bright
    python benchmarks/images.py DIR --few 24 48                 so many good images, three draws
    python benchmarks/images.py DIR --peers --members --speed   all that the marks ask for

``--all`` is `image_marks.py`: five public sets, turned ones and the demo, one configuration, with
``--sets``, ``--seeds``, ``--max-train``, ``--features`` and ``--out``, a file with which a run that
was killed continues. All other calls are studies of one set.

The tiles protocols need ``groups.csv`` (path, kind, tile, fold, differnet_train) in DIR: the same
tile is photographed several times, and a split that puts it on both sides measures memory. Floors
(``image_methods.py``) stand in every table. ``--peers`` adds the tutorials' VAE and PyOD's
networks, ``--members`` our own autoencoder and convolutional VAE on pixels (``image_peers.py``),
``--speed`` the share of decoding and resizing in scoring from JPEG files (``speed_images.py``).
Figures are printed as measured, in percent; ``--out`` appends each as a line of JSON. Seconds are
those of the processor, so that other work on the machine does not count; images/s starts from
decoded images. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import image_marks
import pandas as pd
import speed_images
import torch
from image_methods import Method, figures, floors, ours
from image_peers import image_peers, members
from image_sets import bottle_splits, tile_splits, with_few
from results_file import keep


def methods(args: argparse.Namespace) -> dict[str, Method]:
    """Return what is compared."""
    return (
        ours(args.presets, args.image_size, args.register)
        | (members() if args.members else {})
        | (image_peers() if args.peers else {})
        | ({} if args.no_floors else floors())
    )


def run(args: argparse.Namespace) -> pd.DataFrame:
    """Measure every method on every split; print and keep each result at once."""
    rows = []
    splits = list(tile_splits(args.folder, args.protocol)) if args.folder else []
    splits += list(bottle_splits(args.bottle)) if args.bottle else []
    if args.few:
        splits = [with_few(s, n, draw) for s in splits for n in args.few for draw in range(3)]
    chosen = methods(args)
    for split in splits:
        print(f"{split.name}: {len(split.train)} train, {len(split.test)} test", flush=True)
        for name, measure in chosen.items():
            row = {"split": split.name, "method": name, **figures(split, measure(split))}
            rows.append(row)
            print(pd.DataFrame([row]).round(1).to_string(index=False), flush=True)
            if args.out:
                keep(args.out, row)
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="the magnetic tiles")
    choices = ["tiles-folds", "fold0", "published"]
    parser.add_argument("--protocol", choices=choices, default="tiles-folds")
    parser.add_argument("--bottle", type=Path, help="the bottle, in the MVTec layout")
    parser.add_argument("--presets", nargs="+", default=["default"])
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--few", type=int, nargs="+", help="numbers of good images")
    parser.add_argument("--register", choices=["off", "auto", "shift"], default="off")
    parser.add_argument("--peers", action="store_true", help="tutorials' VAE, PyOD's networks")
    parser.add_argument("--members", action="store_true", help="our own models on pixels")
    parser.add_argument("--speed", action="store_true", help="scoring from JPEG files")
    parser.add_argument("--no-floors", action="store_true")
    parser.add_argument("--out", type=Path)
    image_marks.add_options(parser)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if args.all:
        print(image_marks.run(args))
    else:
        studies(args)


def studies(args: argparse.Namespace) -> None:
    """Measure the sets one by one, and print means and speed."""
    table = run(args)
    numbers = table.drop(columns="split").groupby("method", sort=False).mean(numeric_only=True)
    tiles = table["split"].str.startswith("tiles")
    if tiles.sum() > len(numbers):
        means = table[tiles].drop(columns="split").groupby("method", sort=False).mean()
        print("\nMean over the tile splits\n" + means.round(1).to_string())
    for folder in (args.folder, args.bottle) if args.speed else ():
        if folder:
            seconds = speed_images.measure(folder, args.presets, image_size=args.image_size)
            print("\n" + speed_images.report(seconds, args.presets))


if __name__ == "__main__":
    main()
