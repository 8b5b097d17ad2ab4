"""Frames of a dead camera that are flagged, and the rate of false alarms beside them.

    python benchmarks/dead_camera.py DATA
    python benchmarks/dead_camera.py DATA --sets bottle casting --sizes 40 180 --preset default

DATA holds folders with ``train/good``, ``test/good`` and defects beside it in ``test``. Per set and
number of training images (drawn with the seed; 0 takes all; with whole groups in one fold where
``groups.csv`` names them in its column ``tile``) one model is trained. Of up to 40 good test images
frames are made that no camera should give:

* black, white, grey (128), noise (128, sd 2), a tenth and three tenths of the light, three times
  the light with what is beyond white cut off, inverted;
* the upper, the lower or the left half black; half of the rows read, and the last one repeated.

Printed are the share of each that is flagged at 1 %, the share of untouched good test images
flagged at 1 % and at 5 %, with the band of 95 % that chance allows (beta-binomial, as in
calibration.py; it takes images for independent, which those of one part are not), and recall at 1 %
and AUROC on the real defects. ``before`` is the score of earlier models (`score.earlier`), computed
from the same maps and statistics.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from calibration import band

from vae_anomaly import ImageVAEDetector
from vae_anomaly.arrays import Floats
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.detectors.images.score.earlier import EarlierScore
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.metrics import auroc

SETS = ("bottle", "magnetic_tiles", "kolektorsdd", "solar_poly", "casting")
RATES = (0.01, 0.05)
MOST_FRAMES = 40


def _scaled(share: float) -> Callable[[Any], Any]:
    return lambda image: np.clip(image * share, 0, 255).astype(np.uint8)


def _flat(level: int) -> Callable[[Any], Any]:
    return lambda image: np.full_like(image, level)


def _half(side: str) -> Callable[[Any], Any]:
    def black(image: Any) -> Any:
        broken, (height, width) = image.copy(), image.shape[:2]
        where = {
            "upper": np.s_[: height // 2],
            "lower": np.s_[height // 2 :],
            "left": np.s_[:, : width // 2],
        }
        broken[where[side]] = 0
        return broken

    return black


def _frozen(image: Any) -> Any:
    broken, half = image.copy(), image.shape[0] // 2
    broken[half:] = broken[half - 1]
    return broken


def _noise(image: Any) -> Any:
    noise = np.random.default_rng(image.size).normal(128.0, 2.0, image.shape[:2])
    grey = noise.round().clip(0, 255).astype(np.uint8)
    return grey if image.ndim == 2 else np.repeat(grey[..., None], image.shape[2], 2)


KINDS: dict[str, Callable[[Any], Any]] = {
    "black": _flat(0),
    "white": _flat(255),
    "grey": _flat(128),
    "noise": _noise,
    "x0.1": _scaled(0.1),
    "x0.3": _scaled(0.3),
    "x3": _scaled(3.0),
    "inverted": lambda image: 255 - image,
    "upper": _half("upper"),
    "lower": _half("lower"),
    "left": _half("left"),
    "frozen": _frozen,
}


@dataclass
class Recorded:
    """What an `ImageScore` was fitted to, and what it was asked last."""

    fitted: tuple[Any, ...] = ()
    asked: tuple[Any, ...] = ()


@contextmanager
def recorded() -> Iterator[Recorded]:
    """Keep poolings and statistics that pass through `ImageScore`."""
    record, fit, call = Recorded(), ImageScore.fit.__func__, ImageScore.__call__

    def noted_fit(cls: type[ImageScore], *given: Any) -> Any:
        record.fitted = given
        return fit(cls, *given)

    def noted_call(score: ImageScore, *given: Any) -> Any:
        record.asked = given
        return call(score, *given)

    ImageScore.fit, ImageScore.__call__ = classmethod(noted_fit), noted_call
    try:
        yield record
    finally:
        ImageScore.fit, ImageScore.__call__ = classmethod(fit), call


def groups_of(root: Path, paths: list[Path]) -> list[str] | None:
    """Return the part that each image shows, where the set tells."""
    table = root / "groups.csv"
    if not table.exists():
        return None
    tile = pd.read_csv(table).set_index("path")["tile"]
    return [str(tile[path.relative_to(root).as_posix()]) for path in paths]


def measure(root: Path, size: int, preset: str, seed: int) -> Iterator[dict[str, Any]]:
    """Train on some images of one set; yield the figures before and now."""
    train = sorted((root / "train/good").iterdir())
    rows = np.sort(np.random.default_rng(seed).permutation(len(train))[: size or None])
    paths = [train[i] for i in rows]
    good = [decode_image(path) for path in sorted((root / "test/good").iterdir())]
    bad = [p for p in sorted((root / "test").glob("*/*")) if p.parent.name != "good"]
    asked: dict[str, list[Any]] = {"good": good, "bad": bad}
    asked |= {kind: [make(image) for image in good[:MOST_FRAMES]] for kind, make in KINDS.items()}
    raw: dict[str, dict[str, Floats]] = {"before": {}, "now": {}}
    with recorded() as record:
        detector = ImageVAEDetector(preset=preset, random_state=seed)
        detector.fit(paths, groups=groups_of(root, paths))
        known, held_out = EarlierScore.fit(*record.fitted)
        references = {"before": held_out, "now": detector.calibration_.reference}
        for kind, images in asked.items():
            raw["now"][kind] = detector.examine(images).raw_score
            raw["before"][kind] = known(*record.asked).raw_score
    for name, reference in references.items():
        yield figures(name, raw[name], np.sort(reference))


def figures(name: str, raw: dict[str, Floats], reference: Floats) -> dict[str, Any]:
    """Return what is flagged by a threshold on the held-out raw scores (n,), rising."""
    n, m = len(reference), len(raw["good"])
    row: dict[str, Any] = {"n": n, "score": name}
    tops = [reference[-max(1, int(rate * (n + 1) + 1e-9))] for rate in RATES]
    for rate, top in zip(RATES, tops, strict=True):
        low, high = (100.0 * count / m for count in band(rate, n, 0, m))
        got = 100.0 * np.mean(raw["good"] > top)
        row[f"good at {100 * rate:g} %"] = f"{got:.1f} [{low:.1f}-{high:.1f}]"
    labels = np.repeat([0, 1], [m, len(raw["bad"])])
    row["recall"] = f"{100 * np.mean(raw['bad'] > tops[0]):.1f}"
    row["AUROC"] = f"{100 * auroc(labels, np.r_[raw['good'], raw['bad']]):.2f}"
    return row | {kind: f"{100 * np.mean(raw[kind] > tops[0]):.0f}" for kind in KINDS}


def main() -> None:
    """Print one line for each set, size and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--sizes", nargs="+", type=int, default=(40, 60, 180, 0))
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name in args.sets:
        for size in args.sizes:
            start = time.perf_counter()
            for row in measure(args.folder / name, size, args.preset, args.seed):
                print(
                    name, *(f"{key} {value}" for key, value in row.items()), sep=" | ", flush=True
                )
            print(f"  {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
