"""Measure `ImageVAEDetector` on folders in the MVTec layout, beside floors and simple peers.

    python benchmarks/images.py DIR --protocol tiles-folds      five tile-disjoint folds
    python benchmarks/images.py DIR --protocol fold0            the folder tree as it lies
    python benchmarks/images.py DIR --protocol published        the split of the literature (leaks)
    python benchmarks/images.py --bottle DIR                    also turned, tinted, dark, bright

The tiles protocols need ``groups.csv`` (path, kind, tile, fold, differnet_train) in DIR: the same
tile is photographed several times, and a split that puts it on both sides measures memory. Floors:
the nearest neighbour among 48-pixel thumbnails, the residual of PCA on 64-pixel pictures, and mean
brightness. ``--pixel-vae`` adds the plain convolutional VAE. Figures are printed as measured, in
percent; ``--out`` appends each as a line of JSON. Seconds are those of the processor, so that other
work on the machine does not count; images/s starts from decoded pictures. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from vae_anomaly import ImageVAEDetector
from vae_anomaly.data.folders import list_images
from vae_anomaly.data.images import decode_image, load_images
from vae_anomaly.data.resizing import resize_image
from vae_anomaly.metrics import aupro, auroc
from vae_anomaly.scoring.heatmaps import enlarge

GRID = 128  # side on which pixel figures are measured
Pictures = list[Path] | list[NDArray[Any]]


@dataclass(frozen=True)
class Split:
    """Training pictures and labelled test pictures."""

    name: str
    train: Pictures
    groups: NDArray[Any] | None
    test: Pictures
    kinds: NDArray[Any]
    masks: list[Path | None] = field(default_factory=list)

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 = defective, for each test picture."""
        return (self.kinds != "good").astype(np.int64)


@dataclass(frozen=True)
class Verdict:
    """What a method says about the test pictures."""

    scores: NDArray[np.float64]
    heat: NDArray[np.float32] | None
    fit_s: float
    images_per_s: float
    extra: dict[str, float] = field(default_factory=dict)


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
            train=[root / path for path in train["path"]],
            groups=train["tile"].to_numpy() if fold != "published" else None,
            test=[root / path for path in test["path"]],
            kinds=test["kind"].to_numpy(str),
            masks=[masks.get(path) for path in test["path"]],
        )


def folder_split(root: Path) -> Split:
    """Return the split of a folder in the MVTec layout."""
    train = [item.path for item in list_images(root, split="train") if not item.is_anomaly]
    test = list_images(root, split="test")
    kinds = np.array([item.kind for item in test])
    return Split(root.name, train, None, [i.path for i in test], kinds, [i.mask for i in test])


def bottle_splits(root: Path) -> Iterator[Split]:
    """Yield the bottle as it is, turned and shifted, and good bottles changed as a whole."""
    plain = folder_split(root)
    yield plain
    turned = [_turned(p, i) for i, p in enumerate(plain.train)]
    tested = [_turned(p, 10_000 + i) for i, p in enumerate(plain.test)]
    yield Split("bottle turned", turned, None, tested, plain.kinds)
    good = [decode_image(p) for p, k in zip(plain.test, plain.kinds, strict=True) if k == "good"]
    for name, change in CHANGES.items():
        changed = [change(picture, i) for i, picture in enumerate(good)]
        kinds = np.array(["good"] * len(good) + [name] * len(good))
        yield Split(f"bottle {name}", plain.train, None, [*good, *changed], kinds)


def _turned(path: Path, seed: int) -> NDArray[np.uint8]:
    """Turn a picture by any angle and shift it by up to 5 %, edges repeated."""
    rng = np.random.default_rng(seed)
    picture = decode_image(path)
    angle, shift = rng.uniform(0, 360), rng.uniform(-0.05, 0.05, 2) * picture.shape[:2]
    picture = ndimage.rotate(picture, angle, reshape=False, order=1, mode="nearest")
    return np.asarray(ndimage.shift(picture, (*shift, 0)[: picture.ndim], order=1, mode="nearest"))


def _tinted(picture: NDArray[Any], seed: int) -> NDArray[np.uint8]:
    """Colour a spot of a good picture without changing its luma."""
    rng = np.random.default_rng(seed)
    h, w = picture.shape[:2]
    cy, cx = rng.uniform(0.3, 0.7) * h, rng.uniform(0.3, 0.7) * w
    y, x = np.mgrid[:h, :w]
    spot = np.clip(1.5 - np.hypot(y - cy, x - cx) / (0.05 * max(h, w)), 0, 1)[..., None]
    tint = np.array([40.0, -40.0 * 0.299 / 0.587, 0.0])
    return np.clip(picture + spot * tint, 0, 255).astype(np.uint8)


def _gain(factor: float) -> Callable[[NDArray[Any], int], NDArray[np.uint8]]:
    return lambda picture, seed: np.clip(picture * factor, 0, 255).astype(np.uint8)


CHANGES = {"tint": _tinted, "gain 0.7": _gain(0.7), "gain 1.3": _gain(1.3)}


def measure_ours(split: Split, **parameters: Any) -> Verdict:
    """Fit our detector and score the test pictures."""
    began = time.process_time()
    detector = ImageVAEDetector(random_state=0, **parameters)
    detector.fit(split.train, groups=split.groups)
    fit_s = time.process_time() - began
    pictures = [decode_image(p) if isinstance(p, Path) else p for p in split.test]
    began = time.process_time()
    said = detector.examine(pictures)
    seconds = time.process_time() - began
    p = said.p_value[split.labels == 0]
    extra = {
        "fpr_at_0.01": 100 * float((p <= 0.01).mean()),
        "fpr_at_0.05": 100 * float((p <= 0.05).mean()),
        "self_test": 100 * detector.metrics_.get("self_test_auroc", float("nan")),
        "poses": detector.metrics_.get("poses", float("nan")),
    }
    return Verdict(said.raw_score, said.heat, fit_s, len(split.test) / seconds, extra)


def measure_floor(score: Callable[..., tuple[Any, Any]], size: int, split: Split) -> Verdict:
    """Score with a floor that sees small grey pictures."""
    began = time.process_time()
    train, test = (_small(pictures, size) for pictures in (split.train, split.test))
    scores, heat = score(train, test)
    return Verdict(scores, heat, time.process_time() - began, float("nan"))


def _small(pictures: Pictures, size: int) -> NDArray[np.float32]:
    if isinstance(pictures[0], Path):
        return load_images([p for p in pictures if isinstance(p, Path)], size, 1)[..., 0]
    small = [resize_image(p, (size, size)) for p in pictures]
    return np.stack([p if p.ndim == 2 else p @ np.float32([0.299, 0.587, 0.114]) for p in small])


def nearest_neighbour(train: Any, test: Any) -> tuple[Any, Any]:
    """Return the distance to the nearest training thumbnail."""
    a, b = train.reshape(len(train), -1), test.reshape(len(test), -1)
    squared = (b**2).sum(1)[:, None] - 2 * b @ a.T + (a**2).sum(1)
    nearest = train[squared.argmin(1)]
    return np.sqrt(np.maximum(squared.min(1), 0)), np.abs(test - nearest)


def pca_residual(train: Any, test: Any) -> tuple[Any, Any]:
    """Return what 64 principal components of training pictures leave."""
    a, b = train.reshape(len(train), -1), test.reshape(len(test), -1)
    mean = a.mean(0)
    axes = np.linalg.svd(a - mean, full_matrices=False)[2][: min(64, len(a) - 1)]
    rest = (b - mean) - (b - mean) @ axes.T @ axes
    return (rest**2).mean(1), (rest**2).reshape(test.shape)


def brightness(train: Any, test: Any) -> tuple[Any, Any]:
    """Return how far the mean brightness is from that of training pictures."""
    levels = train.mean((1, 2))
    return np.abs(test.mean((1, 2)) - levels.mean()) / levels.std(), None


FLOORS: dict[str, tuple[Callable[..., tuple[Any, Any]], int]] = {
    "1-NN, 48 px": (nearest_neighbour, 48),
    "PCA residual, 64 px": (pca_residual, 64),
    "brightness": (brightness, 64),
}


def figures(split: Split, verdict: Verdict) -> dict[str, float]:
    """Return image AUROC, by kind and on pixels where there are masks, in percent."""
    y, scores = split.labels, verdict.scores
    row = {"image": 100 * auroc(y, scores)}
    for kind in sorted(set(split.kinds) - {"good"}):
        chosen = (split.kinds == kind) | (y == 0)
        row[kind] = 100 * auroc(y[chosen], scores[chosen])
    if verdict.heat is not None and any(split.masks):
        heat, masks = enlarge(verdict.heat, (GRID, GRID)), _masks(split)
        row["pixel"] = 100 * auroc(masks.ravel(), heat.ravel())
        row["aupro"] = 100 * aupro(masks, heat)
    row |= {"fit CPU s": verdict.fit_s, "images/s": verdict.images_per_s, **verdict.extra}
    return row


def _masks(split: Split) -> NDArray[np.bool_]:
    """Return where pictures are defective on the common grid: cells more than half inside."""
    masks = np.zeros((len(split.test), GRID, GRID), bool)
    for i, path in enumerate(split.masks):
        if path is not None:
            mask = decode_image(path)
            masks[i] = resize_image(mask if mask.ndim == 2 else mask[..., 0], (GRID, GRID)) > 0.5
    return masks


def methods(args: argparse.Namespace) -> dict[str, Callable[[Split], Verdict]]:
    """Return what is compared."""
    chosen: dict[str, Callable[[Split], Verdict]] = {
        f"vae-anomaly {preset}": lambda s, preset=preset: measure_ours(
            s, preset=preset, image_size=args.image_size
        )
        for preset in args.presets
    }
    if args.pixel_vae:
        chosen["conv VAE, 64 px"] = lambda s: measure_ours(s, model="conv", preset="thorough")
    if not args.no_floors:
        for name, (score, size) in FLOORS.items():
            chosen[name] = lambda s, score=score, size=size: measure_floor(score, size, s)
    return chosen


def run(args: argparse.Namespace) -> pd.DataFrame:
    """Measure every method on every split; print and keep each result at once."""
    rows = []
    splits = list(tile_splits(args.folder, args.protocol)) if args.folder else []
    splits += list(bottle_splits(args.bottle)) if args.bottle else []
    for split in splits:
        print(f"{split.name}: {len(split.train)} train, {len(split.test)} test", flush=True)
        for name, measure in methods(args).items():
            row = {"split": split.name, "method": name, **figures(split, measure(split))}
            rows.append(row)
            print(pd.DataFrame([row]).round(1).to_string(index=False), flush=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="the magnetic tiles")
    choices = ["tiles-folds", "fold0", "published"]
    parser.add_argument("--protocol", choices=choices, default="tiles-folds")
    parser.add_argument("--bottle", type=Path, help="the bottle, in the MVTec layout")
    parser.add_argument("--presets", nargs="+", default=["default"])
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--pixel-vae", action="store_true")
    parser.add_argument("--no-floors", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    table = run(args)
    numbers = table.drop(columns="split").groupby("method", sort=False).mean(numeric_only=True)
    tiles = table["split"].str.startswith("tiles")
    if tiles.sum() > len(numbers):
        means = table[tiles].drop(columns="split").groupby("method", sort=False).mean()
        print("\nMean over the tile splits\n" + means.round(1).to_string())


if __name__ == "__main__":
    main()
