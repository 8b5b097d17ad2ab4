"""PatchCore and PaDiM on the features of a backbone, beside our detector on the same ones.

    python benchmarks/images.py --all DATA --features FILE.py --seeds 0 1 --out ours
    python benchmarks/image_baselines.py DATA --features FILE.py --out theirs --ours ours

Both see what ``features=`` gives our detector: every channel of the backbone's maps of images of
256 pixels, brought to a grid of 16 x 16 (``--grid``), a mean over 3 x 3 cells that counts no
padding, each channel standardised over training images and cells.

* PatchCore keeps the cells of all training images that a greedy k-center search draws, 1 in 10
  and 1 in 100 as published (``--shares``; distances of the search in 128 random directions), and
  scores a cell by its distance to the nearest one kept.
* PaDiM fits a Gaussian at every cell, on 100 channels drawn at random, with .01 on the diagonal as
  published, and scores a cell by its Mahalanobis distance.

An image gets its largest cell (``max``), or the mean of its highest 1 % (``top``); ``better`` is
the better of the two on the test images of each set, an advantage that ours does not have. Time
is that of the processor and includes the backbone; memory is that of the model without it.

``--ours`` is the output of ``images.py --all``: the difference of image AUROC is then printed. Its
first standard error is that over folds and seeds: of a set with one split over seeds only, which
says little, for both sides hardly draw. The second, over sets, is that of a new set.

References
----------
Roth et al., Towards Total Recall in Industrial Anomaly Detection, 2022.
Defard et al., PaDiM: a Patch Distribution Modeling Framework, 2021.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import image_marks
import numpy as np
import pandas as pd
import torch
from image_marks import backbone, measured
from image_methods import MEASURED_FPR, Images, Split, Verdict, decoded, recall_at
from image_sets import FIVE, check_sets
from results_file import load
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.data.images.resize import resize_image
from vae_anomaly.metrics import auroc

SIZE = 256  # pixels of the side on which the backbone sees an image
DIRECTIONS, ACTIVE = 128, 20  # of PatchCore's search
CHUNK = 4096  # cells whose distances are held at once
CHANNELS, RIDGE = 100, 0.01  # of PaDiM
TOP = 0.01  # share of an image's cells whose mean is taken
POOLINGS = ["image", "image, top"]
COLUMNS = {
    "image": "image AUROC, max",
    "image, top": "image AUROC, top",
    "better": "image AUROC, the better of the two",
    "pixel": "pixel AUROC",
    "aupro": "AUPRO",
    "recall, measured": "recall, measured, max",
    "recall, measured, top": "recall, measured, top",
    "fit CPU s": "fit CPU s",
    "images/s": "images/s",
    "model MB": "model MB",
}
Fit = Callable[[Tensor, int], Any]
"""Takes cells of the training images, (N, G * G, F), and a seed."""


def maps_of(images: Images, module: nn.Module, grid: int) -> Tensor:
    """Return pooled maps (N, grid * grid, F) of images, one by one as is fastest on a processor."""
    found = []
    with torch.no_grad():
        for portion in decoded(images):
            for image in portion:
                small = torch.from_numpy(resize_image(image, (SIZE, SIZE)))
                small = small[None] if small.ndim == 2 else small.permute(2, 0, 1)
                maps = torch.cat([on_grid(m, grid) for m in module(small[None])], 1)
                found.append(maps.flatten(2).mT[0].contiguous())
    return torch.stack(found)


def on_grid(maps: Tensor, grid: int) -> Tensor:
    """Bring maps (1, F, h, w) to a grid, and average each cell with its neighbours."""
    if maps.shape[-1] >= grid:
        maps = functional.adaptive_avg_pool2d(maps, grid)
    else:
        maps = functional.interpolate(maps, (grid, grid), mode="bilinear", align_corners=False)
    return functional.avg_pool2d(maps, 3, 1, 1, count_include_pad=False)


class PatchCore:
    """Distance of a cell to the nearest of those kept."""

    def __init__(self, maps: Tensor, seed: int, share: float) -> None:
        cells = maps.flatten(0, 1)  # (N * G * G, F)
        self.kept = cells[coreset(cells, max(1, round(share * len(cells))), seed)]
        self.size_bytes = self.kept.numel() * self.kept.element_size()

    def score(self, maps: Tensor) -> Tensor:
        """Return what speaks against cells (N, G * G, F), (N, G * G)."""
        nearest = [squared_distances(cells, self.kept) for cells in maps]
        return torch.stack(nearest).clamp(min=0).sqrt()


def coreset(cells: Tensor, n: int, seed: int) -> Tensor:
    """Return n rows, each the farthest from those before it, from a random one on.

    Distances only fall as rows are taken. So one in `ACTIVE` of the cells, the farthest, are
    looked at alone until the next row may lie outside them; then all catch up in one product.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(cells.shape[1], DIRECTIONS, generator=generator)
    seen = cells @ directions / DIRECTIONS**0.5
    rows = [int(torch.randint(len(cells), (1,), generator=generator))]
    nearest, told = torch.full((len(cells),), torch.inf), 0
    while len(rows) < n:
        nearest = torch.minimum(nearest, squared_distances(seen, seen[rows[told:]]))
        told = len(rows)
        left, active = nearest.topk(min(len(cells), len(cells) // ACTIVE + 2))
        outside, own = left[-1], seen[active[:-1]]
        left = left[:-1]
        while len(rows) < n and (len(rows) == told or left.max() >= outside):
            place = int(left.argmax())
            rows.append(int(active[place]))
            left = torch.minimum(left, squared_distances(own, own[place : place + 1]))
    return torch.tensor(rows)


def squared_distances(cells: Tensor, centres: Tensor) -> Tensor:
    """Return the squared distance of each cell (N, F) to the nearest of centres (M, F)."""
    found = []
    for part in cells.split(CHUNK):
        products = centres.square().sum(1) - 2 * part @ centres.T
        found.append(products.amin(1) + part.square().sum(1))
    return torch.cat(found)


class PaDiM:
    """Mahalanobis distance of a cell from those at its place."""

    def __init__(self, maps: Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.channels = torch.randperm(maps.shape[2], generator=generator)[:CHANNELS]
        chosen = maps[:, :, self.channels]
        self.mean = chosen.mean(0)
        precision = []
        for rows in (chosen - self.mean).transpose(0, 1):  # (N, F) of each place
            covariance = rows.T @ rows / (len(rows) - 1) + RIDGE * torch.eye(rows.shape[1])
            precision.append(torch.linalg.inv(covariance))
        self.precision = torch.stack(precision)  # (G * G, F, F)
        self.size_bytes = self.precision.numel() * self.precision.element_size()

    def score(self, maps: Tensor) -> Tensor:
        """Return what speaks against cells (N, G * G, F), (N, G * G)."""
        off = (maps[:, :, self.channels] - self.mean).transpose(0, 1)  # (G * G, N, F)
        return ((off @ self.precision) * off).sum(2).clamp(min=0).sqrt().T


class Pooled:
    """Standardised maps of the last split asked for, and the seconds that they took."""

    def __init__(self, module: nn.Module, grid: int) -> None:
        self.module, self.grid, self.split = module.eval(), grid, None

    def __call__(self, split: Split) -> tuple[Tensor, Tensor, float, float]:
        """Return maps of training and test images, and processor seconds of each."""
        if split is not self.split:
            began = time.process_time()
            train = maps_of(split.train, self.module, self.grid)
            mean, sd = train.mean((0, 1)), train.std((0, 1)).clamp(min=1e-6)
            between = time.process_time()
            test = maps_of(split.test, self.module, self.grid)
            seconds = between - began, time.process_time() - between
            self.found = (train - mean) / sd, (test - mean) / sd, *seconds
            self.split = split
        return self.found


def baseline(split: Split, seed: int, fit: Fit, pooled: Pooled) -> Verdict:
    """Fit a baseline and score the test images; those of the row's own figures by ``max``."""
    train, test, train_s, test_s = pooled(split)
    began = time.process_time()
    model = fit(train, seed)
    fitted = time.process_time()
    cells = model.score(test)
    speed = len(test) / (test_s + time.process_time() - fitted)
    count = max(1, round(TOP * cells.shape[1]))
    top = cells.topk(count, dim=1)[0].mean(1).double().numpy()
    extra = {
        "image, top": 100 * auroc(split.labels, top),
        "recall, measured, top": 100 * recall_at(split.labels, top, MEASURED_FPR),
        "model MB": model.size_bytes / 1e6,
    }
    heat = cells.reshape(len(cells), pooled.grid, pooled.grid).numpy()
    largest = cells.amax(1).double().numpy()
    return Verdict(largest, heat, train_s + fitted - began, speed, extra)


def baselines(args: argparse.Namespace) -> dict[str, image_marks.Seeded]:
    """Return both baselines, by the name of the method."""
    module = backbone(args.features, args.layers)
    if isinstance(module, str):
        raise SystemExit("--features must be a Python file with one class of torch modules.")
    pooled, place = Pooled(module, args.grid), f"{args.grid} x {args.grid}"
    fits: dict[str, Fit] = {
        f"PatchCore {100 * share:g} %, {place}": partial(PatchCore, share=share)
        for share in args.shares
    }
    fits[f"PaDiM, {place}"] = PaDiM
    return {name: partial(baseline, fit=fit, pooled=pooled) for name, fit in fits.items()}


def report(rows: pd.DataFrame) -> str:
    """Return the figures of all methods side by side: sets down, the mean of the five below."""
    means = rows.groupby(["set", "method"], sort=False).mean(numeric_only=True)
    means["better"] = means.reindex(columns=POOLINGS).max(axis=1)
    parts = []
    for column in [name for name in COLUMNS if name in means]:
        table = means.pivot_table(index="set", columns="method", values=column, sort=False)
        five = [name for name in FIVE if name in table.index]
        table.loc[f"mean of {len(five)}"] = table.loc[five].mean()
        parts.append(f"\n{COLUMNS[column]}\n{table.round(1).to_string(na_rep='')}")
    return "\n".join(parts)


def differences(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Return by how much our image AUROC is above the better pooling of each baseline."""
    lines = ["\nimage AUROC above that of the better pooling; s.e. over folds and seeds, over sets"]
    for our_name, our in ours.groupby("method", sort=False):
        for name, their in theirs.groupby("method", sort=False):
            found = pd.DataFrame({s: paired(our, their, s) for s in FIVE if s in set(our["set"])})
            by_set = ", ".join(f"{s} {d:+.1f}" for s, d in found.loc["mean"].items())
            within = np.sqrt((found.loc["se"] ** 2).sum()) / found.shape[1]
            among = found.loc["mean"].std() / np.sqrt(found.shape[1])
            lines.append(
                f"{our_name} - {name}: {found.loc['mean'].mean():+.2f} "
                f"(s.e. {within:.2f}, {among:.2f}): {by_set}"
            )
    return "\n".join(lines)


def paired(ours: pd.DataFrame, theirs: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return mean difference in a set, and its standard error over folds, else over seeds."""
    a, b = (x[x["set"] == name].set_index(["split", "seed"]) for x in (ours, theirs))
    pooling = b[POOLINGS].mean().idxmax()
    above = (a["image"] - b[pooling]).dropna()
    by_split = above.groupby("split").mean()
    units = by_split if len(by_split) > 1 else above
    return pd.Series({"mean": units.mean(), "se": units.std() / np.sqrt(len(units))})


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("all", type=Path, metavar="DATA")
    parser.add_argument("--features", required=True, help="a Python module, as in images.py")
    parser.add_argument("--layers", type=int, nargs="+", help="of its class")
    parser.add_argument("--grid", type=int, default=16, help="cells of a side")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.1, 0.01], help="of cells that PatchCore keeps"
    )
    parser.add_argument("--sets", nargs="+", default=list(FIVE))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--max-train", type=int, help="good images to train on, at most")
    parser.add_argument("--out", type=Path, help="lines of JSON, with which a run continues")
    parser.add_argument("--ours", type=Path, help="the output of images.py --all")
    args = parser.parse_args(argv)
    args.image_size = SIZE
    torch.set_num_threads(1)
    check_sets(args.all, args.sets)
    methods = baselines(args)
    theirs = pd.DataFrame([row for name in args.sets for row in measured(args, name, methods)])
    ours = load(args.ours) if args.ours else pd.DataFrame(columns=["set", "method", "seed"])
    ours = ours[ours["set"].isin(args.sets) & ours["seed"].isin(args.seeds)]
    print(report(pd.concat([ours, theirs]) if len(ours) else theirs))
    if len(ours):
        print(differences(ours, theirs))


if __name__ == "__main__":
    main()
