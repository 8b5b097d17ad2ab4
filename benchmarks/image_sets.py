"""The image sets of the marks: folders of one DATA folder, tile folds, turned copies, the demo.

``magnetic_tiles`` are five tile-disjoint folds (``groups.csv``: path, kind, tile, fold,
differnet_train; the same tile is photographed several times, and a split that puts it on both sides
measures memory). ``NAME-turned`` is the folder NAME with every image, training too, turned by any
angle and moved by up to 5 % of its sides. ``demo`` are the surfaces of ``vae-anomaly demo``,
rendered into a folder that is thrown away. Any other name is a folder in the MVTec layout.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from image_methods import Split, folder_split
from scipy import ndimage

from vae_anomaly.arrays import AnyArray, Bytes
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.synthetic import write_surfaces
from vae_anomaly.jobs.demo import DEFECTIVE, GOOD_TEST, GOOD_TRAIN

TILES, DEMO, TURNED = "magnetic_tiles", "demo", "-turned"
FIVE = (TILES, "bottle", "kolektorsdd", "solar_poly", "casting")
"""The sets whose mean is the mark."""

ALL = (*FIVE, "bottle" + TURNED, "casting" + TURNED, DEMO)


def check_sets(root: Path, names: list[str]) -> None:
    """Stop where a set is not there."""
    lacking = [n for n in names if n != DEMO and not (root / n.removesuffix(TURNED)).is_dir()]
    if lacking:
        raise SystemExit(
            f"{root} has no folder for {', '.join(lacking)}. Choose others with --sets: "
            f"{', '.join(ALL)}, or folders in the MVTec layout."
        )


def splits_of_set(root: Path, name: str, seed: int) -> Iterator[Split]:
    """Yield the splits of a set; the seed matters for the demo only, whose images it draws."""
    if name == TILES:
        yield from tile_splits(root / name, "tiles-folds")
    elif name == DEMO:
        with tempfile.TemporaryDirectory() as folder:
            yield demo_split(Path(folder), seed)
    elif name.endswith(TURNED):
        yield turned_split(folder_split(root / name.removesuffix(TURNED)))
    else:
        yield folder_split(root / name)


def demo_split(folder: Path, seed: int) -> Split:
    """Render the surfaces of the demo of a seed into a folder."""
    write_surfaces(folder, GOOD_TRAIN, GOOD_TEST, DEFECTIVE, random_state=seed)
    return replace(folder_split(folder), name=DEMO)


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
    yield turned_split(plain)
    moved = [_moved(decode_image(p), i) for i, p in enumerate(plain.train)]
    tested = [_moved(decode_image(p), 10_000 + i) for i, p in enumerate(plain.test)]
    yield Split("bottle moved", moved, None, tested, plain.kinds)
    good = [decode_image(p) for p, k in zip(plain.test, plain.kinds, strict=True) if k == "good"]
    for name, change in CHANGES.items():
        changed = [change(image, i) for i, image in enumerate(good)]
        kinds = np.array(["good"] * len(good) + [name] * len(good))
        yield Split(f"bottle {name}", plain.train, None, [*good, *changed], kinds)


def turned_split(plain: Split) -> Split:
    """Turn every image of a split of files, those of training too; masks are left out."""
    turned = [_turned(decode_image(p), i) for i, p in enumerate(plain.train)]
    tested = [_turned(decode_image(p), 10_000 + i) for i, p in enumerate(plain.test)]
    return Split(f"{plain.name} turned", turned, None, tested, plain.kinds)


def with_few(split: Split, n: int, draw: int) -> Split:
    """Return a split with n of its good images to train on, whole groups but for the last."""
    groups = np.arange(len(split.train)) if split.groups is None else split.groups
    order = np.random.default_rng(draw).permutation(np.unique(groups))
    rows = np.concatenate([np.flatnonzero(groups == group) for group in order])[:n]
    rows.sort()
    few = None if split.groups is None else split.groups[rows]
    name = f"{split.name}, {n} good, draw {draw}"
    return replace(split, name=name, train=[split.train[i] for i in rows], groups=few)


def _turned(image: Bytes, seed: int) -> Bytes:
    """Turn an image by any angle and shift it by up to 5 %, edges repeated."""
    rng = np.random.default_rng(seed)
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
