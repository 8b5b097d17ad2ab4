"""Measure how far the p-values of large images in tiles are from what they state.

    OMP_NUM_THREADS=1 python benchmarks/tile_pvalues.py --repeats 6

Held-out images were judged by the one network that has not seen them, new images get the mean
of both networks' maps (``mean map``, what `ImageVAEDetector` does), which varies less. Beside it:
the mean of both raw scores, cross-conformal p-values (each network's score among those it judged),
and the score of one network alone. Made-up fabrics and boards; in broken ones a square of 14 pixels
is a little brighter. ``found`` are broken images with p <= 5 %.

References
----------
Vovk, Cross-conformal predictors, 2015.
"""

from __future__ import annotations

import argparse
import logging

import numpy as np
import torch
from scipy import ndimage

from vae_anomaly.detectors import ImageVAEDetector
from vae_anomaly.detectors.folds import assign_folds
from vae_anomaly.detectors.images.tiles.examine import TilePlacing, inspect_tiles
from vae_anomaly.metrics import auroc

SIZE, TILE, SQUARE = 128, 64, 14
STATED = (0.01, 0.05, 0.10)


def fabrics(n: int, seed: int) -> np.ndarray:
    """Return woven fabrics (n, 128, 128), uint8: nothing has a place of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, SIZE, SIZE), dtype=np.float32)
    threads = 72.0 * ndimage.uniform_filter1d(noise, 9, axis=2, mode="wrap")
    return np.clip(120 + rng.uniform(-8, 8, (n, 1, 1)) + threads, 0, 255).astype(np.uint8)


def boards(n: int, seed: int) -> np.ndarray:
    """Return boards (n, 128, 128), uint8: the same forty parts at the same places."""
    plan, rng = np.random.default_rng(99), np.random.default_rng(seed)
    base = np.full((SIZE, SIZE), 90.0)
    for _ in range(40):
        (y, x), (h, w) = plan.integers(8, SIZE - 40, 2), plan.integers(10, 28, 2)
        base[y : y + h, x : x + w] = plan.uniform(40, 200)
    light, noise = rng.uniform(0.95, 1.05, (n, 1, 1)), rng.normal(0, 4, (n, SIZE, SIZE))
    return np.clip(base * light + noise, 0, 255).astype(np.uint8)


KINDS = {"fabrics": (fabrics, 45), "boards": (boards, 5)}


class Watched(ImageVAEDetector):
    """Keeps the raw scores of held-out images in the order of training."""

    def _calibrate(self, held_out_scores: np.ndarray, groups: np.ndarray | None = None) -> None:
        self.held_out_ = held_out_scores
        super()._calibrate(held_out_scores, groups)


def brighter(images: np.ndarray, by: int, seed: int) -> np.ndarray:
    broken, rng = images.astype(int), np.random.default_rng(seed)
    for image, (y, x) in zip(broken, rng.integers(4, SIZE - 24, (len(broken), 2)), strict=True):
        image[y : y + SQUARE, x : x + SQUARE] += by
    return np.clip(broken, 0, 255).astype(np.uint8)


def raw_scores(detector: ImageVAEDetector, images: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the raw scores (N,) by each network's map, and by the mean of both."""
    model = detector.model_
    network, placing = model.network, TilePlacing(model.placing, model.channels)

    def by(halves: tuple[int, ...]) -> np.ndarray:
        said = [inspect_tiles(network, placing("", image), halves) for image in images]
        pooled = np.stack([one.pooled(network.grounds(halves)) for one in said])
        statistics = np.stack([one.statistics for one in said])
        return detector.image_score_(pooled, statistics).raw_score

    return by((0,)), by((1,)), by((0, 1))


def p_values(
    raw: tuple[np.ndarray, ...], reference: np.ndarray, judge: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return p-values and scores (N,) of each way."""
    first, second, joined = raw
    both, alone = (first + second) / 2, np.where(np.arange(len(first)) % 2, first, second)

    def counted(scores: np.ndarray, among: np.ndarray) -> np.ndarray:
        return (among[None] >= scores[:, None]).sum(axis=1)

    n = len(reference) + 1
    crossed = counted(first, reference[judge == 0]) + counted(second, reference[judge == 1])
    plain = {"mean map": joined, "mean raw score": both, "one network": alone}
    said = {name: ((1 + counted(s, reference)) / n, s) for name, s in plain.items()}
    return {**said, "cross-conformal": ((1 + crossed) / n, -np.log((1 + crossed) / n))}


def measure(kind: str, seed: int, n_train: int, n_new: int) -> dict[str, list[float]]:
    """Return shares flagged at each stated rate, share found at 5 %, and AUROC, of each way."""
    make, by = KINDS[kind]
    good, new = make(n_train, 1000 + seed), make(n_new, 5000 + seed)
    broken = brighter(make(n_new, 9000 + seed), by, seed)
    detector = Watched(tile_size=TILE, preset="fast", random_state=seed).fit(good)
    groups = np.array([f"\0{i}" for i in range(n_train)])  # as the detector names them
    halves = assign_folds(groups, 2, seed + 2)
    judge = 1 - halves
    normal, strange = raw_scores(detector, new), raw_scores(detector, broken)
    before, after = (p_values(raw, detector.held_out_, judge) for raw in (normal, strange))
    labels = np.repeat([0, 1], n_new)
    return {
        name: [
            *(float((p <= stated).mean()) for stated in STATED),
            float((after[name][0] <= 0.05).mean()),
            auroc(labels, np.concatenate([scores, after[name][1]])),
        ]
        for name, (p, scores) in before.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--train", type=int, default=100, help="images trained on")
    parser.add_argument("--new", type=int, default=300, help="new images, and broken ones")
    parser.add_argument("--repeats", type=int, default=6)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    print(f"{'':9}{'':17}{'1 %':>6}{'5 %':>6}{'10 %':>6}{'found':>7}{'AUROC':>7}")
    for kind in KINDS:
        runs = [measure(kind, seed, args.train, args.new) for seed in range(args.repeats)]
        for name in runs[0]:
            *shares, area = np.mean([run[name] for run in runs], axis=0)
            figures = "".join(f"{100 * share:6.1f}" for share in shares)
            print(f"{kind:9}{name:17}{figures} {area:7.3f}", flush=True)


if __name__ == "__main__":
    main()
