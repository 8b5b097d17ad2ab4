"""What the image benchmarks share: splits, our detector, the floors, and the figures of both.

A method takes a `Split` and returns a `Verdict`: scores and maps, higher = more anomalous. Floors
see small grey images: the nearest neighbour among 48-pixel thumbnails, the residual of PCA on
64-pixel images, and how far the mean brightness is from the usual one. Seconds are those of the
processor, so that other work on the machine does not count; images/s starts from decoded images.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vae_anomaly import ImageVAEDetector
from vae_anomaly.arrays import AnyArray, Bools, Floats, Floats32, Ints
from vae_anomaly.data.images.decode import decode_image, load_image
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.data.images.resize import resize_image
from vae_anomaly.detectors.images.heatmaps import resize_heat
from vae_anomaly.metrics import aupro, auroc, is_flagged

GRID = 128  # side on which pixel figures are measured
MEASURED_FPR = 0.01  # share of good test images that may be flagged where they set the threshold
PORTION = 64  # decoded images held at once while scoring
Images = list[Path] | list[AnyArray]


@dataclass(frozen=True)
class Split:
    """Training images and labelled test images."""

    name: str
    train: Images
    groups: AnyArray | None
    test: Images
    kinds: AnyArray
    masks: list[Path | None] = field(default_factory=list)

    @property
    def labels(self) -> Ints:
        """1 = defective, for each test image."""
        return (self.kinds != "good").astype(np.int64)


@dataclass(frozen=True)
class Verdict:
    """What a method says about the test images."""

    scores: Floats
    heat: Floats32 | None
    fit_s: float
    images_per_s: float
    extra: dict[str, float] = field(default_factory=dict)


Method = Callable[[Split], Verdict]


def folder_split(root: Path) -> Split:
    """Return the split of a folder in the MVTec layout."""
    train = [item.path for item in list_images(root, split="train") if not item.is_anomaly]
    test = list_images(root, split="test")
    kinds = np.array([item.kind for item in test])
    return Split(root.name, train, None, [i.path for i in test], kinds, [i.mask for i in test])


def measure_ours(split: Split, random_state: int = 0, **parameters: Any) -> Verdict:
    """Fit our detector and score the test images."""
    began = time.process_time()
    detector = ImageVAEDetector(random_state=random_state, **parameters)
    detector.fit(split.train, groups=split.groups)
    fit_s = time.process_time() - began
    scores, heat, p_value, flags, seconds = [], [], [], [], 0.0
    for images in decoded(split.test):
        began = time.process_time()
        said = detector.examine(images)
        seconds += time.process_time() - began
        scores.append(said.raw_score)
        heat.append(said.heatmap)
        p_value.append(said.p_value)
        flags.append(is_flagged(said.anomaly_score, detector.threshold_.value))
    flagged, bad = np.concatenate(flags), split.labels == 1
    p = np.concatenate(p_value)[split.labels == 0]
    extra = {
        "model MB": stored_bytes(detector) / 1e6,
        "recall": 100 * float(flagged[bad].mean()),
        "false alarms": 100 * float(flagged[~bad].mean()),
        "fpr_at_0.01": 100 * float((p <= 0.01).mean()),
        "fpr_at_0.05": 100 * float((p <= 0.05).mean()),
        "self_test": 100 * detector.metrics_.get("self_test_auroc", float("nan")),
        "poses": detector.metrics_.get("poses", float("nan")),
    }
    speed = len(split.test) / seconds
    return Verdict(np.concatenate(scores), np.concatenate(heat), fit_s, speed, extra)


def stored_bytes(detector: ImageVAEDetector) -> int:
    """Return the size of a saved model; a user's module is no part of it."""
    with tempfile.TemporaryDirectory() as folder:
        model = detector.save(Path(folder) / "model")
        return sum(file.stat().st_size for file in model.rglob("*") if file.is_file())


def decoded(images: Images) -> Iterator[list[AnyArray]]:
    """Yield decoded images, a portion at a time."""
    for start in range(0, len(images), PORTION):
        portion = images[start : start + PORTION]
        yield [decode_image(p) if isinstance(p, Path) else p for p in portion]


def measure_floor(score: Callable[..., tuple[Any, Any]], size: int, split: Split) -> Verdict:
    """Score with a method that sees small grey images."""
    began = time.process_time()
    train, test = (small_grey(images, size) for images in (split.train, split.test))
    scores, heat = score(train, test)
    return Verdict(scores, heat, time.process_time() - began, float("nan"))


def small_grey(images: Images, size: int) -> Floats32:
    """Return images as (N, size, size), grey, in [0, 1]."""
    if isinstance(images[0], Path):
        files = [path for path in images if isinstance(path, Path)]
        return np.stack([load_image(path, (size, size), 1)[..., 0] for path in files])
    small = [resize_image(p, (size, size)) for p in images]
    return np.stack([p if p.ndim == 2 else p @ np.float32([0.299, 0.587, 0.114]) for p in small])


def nearest_neighbour(train: Any, test: Any) -> tuple[Any, Any]:
    """Return the distance to the nearest training thumbnail."""
    a, b = train.reshape(len(train), -1), test.reshape(len(test), -1)
    squared = (b**2).sum(1)[:, None] - 2 * b @ a.T + (a**2).sum(1)
    nearest = train[squared.argmin(1)]
    return np.sqrt(np.maximum(squared.min(1), 0)), np.abs(test - nearest)


def pca_residual(train: Any, test: Any) -> tuple[Any, Any]:
    """Return what 64 principal components of training images leave."""
    a, b = train.reshape(len(train), -1), test.reshape(len(test), -1)
    mean = a.mean(0)
    axes = np.linalg.svd(a - mean, full_matrices=False)[2][: min(64, len(a) - 1)]
    rest = (b - mean) - (b - mean) @ axes.T @ axes
    return (rest**2).mean(1), (rest**2).reshape(test.shape)


def brightness(train: Any, test: Any) -> tuple[Any, Any]:
    """Return how far the mean brightness is from that of training images."""
    levels = train.mean((1, 2))
    return np.abs(test.mean((1, 2)) - levels.mean()) / levels.std(), None


FLOORS: dict[str, tuple[Callable[..., tuple[Any, Any]], int]] = {
    "1-NN, 48 px": (nearest_neighbour, 48),
    "PCA residual, 64 px": (pca_residual, 64),
    "brightness": (brightness, 64),
}


def ours(presets: list[str], image_size: int, register: str = "off") -> dict[str, Method]:
    """Return our detector with each preset."""
    return {
        f"vae-anomaly {preset}": lambda s, preset=preset: measure_ours(
            s, preset=preset, image_size=image_size, register=register
        )
        for preset in presets
    }


def floors() -> dict[str, Method]:
    """Return what a detector must beat."""
    return {
        name: lambda s, score=score, size=size: measure_floor(score, size, s)
        for name, (score, size) in FLOORS.items()
    }


def figures(split: Split, verdict: Verdict, grid: int = GRID) -> dict[str, float]:
    """Return image AUROC, by kind and on pixels where there are masks, in percent."""
    y, scores = split.labels, verdict.scores
    row = {"image": 100 * auroc(y, scores)}
    for kind in sorted(set(split.kinds) - {"good"}):
        chosen = (split.kinds == kind) | (y == 0)
        row[kind] = 100 * auroc(y[chosen], scores[chosen])
    if verdict.heat is not None and any(split.masks):
        row |= pixel_figures(split, verdict.heat, grid)
    row["recall, measured"] = 100 * recall_at(y, scores, MEASURED_FPR)
    row |= {"fit CPU s": verdict.fit_s, "images/s": verdict.images_per_s, **verdict.extra}
    return row


def recall_at(labels: Ints, scores: Floats, fpr: float) -> float:
    """Return the recall above the lowest threshold that at most ``fpr`` of good images exceed."""
    good = np.sort(scores[labels == 0])
    threshold = good[len(good) - 1 - int(fpr * len(good))]
    return float((scores[labels == 1] > threshold).mean())


def pixel_figures(split: Split, heat: Floats32, grid: int) -> dict[str, float]:
    """Return pixel AUROC and AUPRO over good images and defective ones whose mask is known."""
    known = [i for i, y in enumerate(split.labels) if y == 0 or split.masks[i] is not None]
    large = resize_heat(heat[known], (grid, grid))
    masks = np.stack([grid_mask(split.masks[i], grid) for i in known])
    return {"pixel": 100 * auroc(masks.ravel(), large.ravel()), "aupro": 100 * aupro(masks, large)}


def grid_mask(path: Path | None, grid: int) -> Bools:
    """Return where an image is defective: cells more than half inside, at least the fullest."""
    if path is None:
        return np.zeros((grid, grid), bool)
    mask = decode_image(path)
    share = resize_image((mask if mask.ndim == 2 else mask.max(axis=2)) > 0, (grid, grid))
    return np.asarray(share > min(0.5, 0.999 * float(share.max())))
