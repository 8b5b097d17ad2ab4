"""Measure `ImageVAEDetector` on folders in the MVTec layout, beside floors, peers and members.

    python benchmarks/images.py DIR --protocol tiles-folds      five tile-disjoint folds
    python benchmarks/images.py DIR --protocol fold0            the folder tree as it lies
    python benchmarks/images.py DIR --protocol published        the split of the literature (leaks)
    python benchmarks/images.py --bottle DIR                    turned, moved, tinted, dark, bright
    python benchmarks/images.py DIR --few 24 48                 so many good images, three draws
    python benchmarks/images.py DIR --peers --members --speed   all that the marks ask for

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
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import speed_images
import torch
from image_methods import Method, Split, figures, floors, folder_split, ours
from image_peers import image_peers, members
from results_file import keep
from scipy import ndimage

from vae_anomaly.arrays import AnyArray, Bytes
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import list_images


def tile_splits(root: Path, protocol: str) -> Iterator[Split]:
    """Yield the splits of the magnetic tiles."""
    table = pd.read_csv(root / "groups.csv")
    masks = {item.id: item.mask for item in list_images(root)}
    good = table["kind"] == "good"
    folds = {"tiles-folds": range(5), "fold0": [0], "published": ["published"]}[protocol]
    for fold in folds:
        held = table["differnet_train"] == 0 if fold == "published" else table["fold"] == fold
        train, test = table[good & ~held], table[~good | held]
        yield Split(
            name=f"tiles {fold if fold == 'published' else f'fold {fold}'}",
            train=[decode_image(root / path) for path in train["path"]],  # some lie below test/
            groups=train["tile"].to_numpy() if fold != "published" else None,
            test=[root / path for path in test["path"]],
            kinds=test["kind"].to_numpy(str),
            masks=[masks.get(path) for path in test["path"]],
        )


def bottle_splits(root: Path) -> Iterator[Split]:
    """Yield the bottle as it is, turned, only moved, and good bottles changed as a whole."""
    plain = folder_split(root)
    yield plain
    turned = [_turned(p, i) for i, p in enumerate(plain.train)]
    tested = [_turned(p, 10_000 + i) for i, p in enumerate(plain.test)]
    yield Split("bottle turned", turned, None, tested, plain.kinds)
    moved = [_moved(decode_image(p), i) for i, p in enumerate(plain.train)]
    tested = [_moved(decode_image(p), 10_000 + i) for i, p in enumerate(plain.test)]
    yield Split("bottle moved", moved, None, tested, plain.kinds)
    good = [decode_image(p) for p, k in zip(plain.test, plain.kinds, strict=True) if k == "good"]
    for name, change in CHANGES.items():
        changed = [change(image, i) for i, image in enumerate(good)]
        kinds = np.array(["good"] * len(good) + [name] * len(good))
        yield Split(f"bottle {name}", plain.train, None, [*good, *changed], kinds)


def with_few(split: Split, n: int, draw: int) -> Split:
    """Return a split with n of its good images to train on, whole groups but for the last."""
    groups = np.arange(len(split.train)) if split.groups is None else split.groups
    order = np.random.default_rng(draw).permutation(np.unique(groups))
    rows = np.concatenate([np.flatnonzero(groups == group) for group in order])[:n]
    rows.sort()
    few = None if split.groups is None else split.groups[rows]
    name = f"{split.name}, {n} good, draw {draw}"
    return replace(split, name=name, train=[split.train[i] for i in rows], groups=few)


def _turned(path: Path, seed: int) -> Bytes:
    """Turn an image by any angle and shift it by up to 5 %, edges repeated."""
    rng = np.random.default_rng(seed)
    image = decode_image(path)
    angle, shift = rng.uniform(0, 360), rng.uniform(-0.05, 0.05, 2) * image.shape[:2]
    image = ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest")
    return np.asarray(ndimage.shift(image, (*shift, 0)[: image.ndim], order=1, mode="nearest"))


def _moved(image: Bytes, seed: int) -> Bytes:
    """Shift an image by up to 8 % of its sides, edges repeated."""
    by = np.random.default_rng(seed).uniform(-0.08, 0.08, 2) * image.shape[:2]
    return np.asarray(ndimage.shift(image, (*by, 0)[: image.ndim], order=1, mode="nearest"))


def _tinted(image: AnyArray, seed: int) -> Bytes:
    """Colour a spot of a good image without changing its luma."""
    rng = np.random.default_rng(seed)
    h, w = image.shape[:2]
    cy, cx = rng.uniform(0.3, 0.7) * h, rng.uniform(0.3, 0.7) * w
    y, x = np.mgrid[:h, :w]
    spot = np.clip(1.5 - np.hypot(y - cy, x - cx) / (0.05 * max(h, w)), 0, 1)[..., None]
    tint = np.array([40.0, -40.0 * 0.299 / 0.587, 0.0])
    return np.clip(image + spot * tint, 0, 255).astype(np.uint8)


def _gain(factor: float) -> Callable[[AnyArray, int], Bytes]:
    return lambda image, seed: np.clip(image * factor, 0, 255).astype(np.uint8)


CHANGES = {"tint": _tinted, "gain 0.7": _gain(0.7), "gain 1.3": _gain(1.3)}


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


def main() -> None:
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
    args = parser.parse_args()
    torch.set_num_threads(1)
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
