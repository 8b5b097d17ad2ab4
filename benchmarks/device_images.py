"""Compare processor and GPU: seconds of training and scoring, and by how much scores differ.

    python benchmarks/device_images.py                       the processor alone
    python benchmarks/device_images.py --devices cpu cuda    what a GPU gives, where there is one
    python benchmarks/device_images.py --devices cpu cuda --model conv --image-size 64

Images are rendered, so no data set is needed. The first device trains a detector in float32;
every other scores with that same model, so that differences are those of arithmetic, and trains
its own, in float32 and in bf16. Seconds are wall time, those of training by its stages too. Scoring
is from decoded images, after a few to warm up; beside it stands what resizing them takes alone,
which is the processor's work on every device.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from vae_anomaly import ImageVAEDetector, load_detector
from vae_anomaly.data.synthetic import render_surfaces
from vae_anomaly.detectors.images.image_list import open_images
from vae_anomaly.metrics import auroc


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what work gives and the wall seconds it takes."""
    began = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - began


class Stages:
    """Count the seconds between two calls for the stage that the second of them names."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note of a step."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.last
        self.last = now

    def __str__(self) -> str:
        return ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())


def trained(
    train: list[np.ndarray], device: str, precision: str, args: argparse.Namespace
) -> tuple[ImageVAEDetector, float]:
    """Return a fitted detector and its seconds."""
    detector = ImageVAEDetector(
        args.image_size, preset=args.preset, model=args.model, device=device,
        precision=precision, random_state=0,
    )  # fmt: skip
    stages = Stages()
    _, seconds = timed(lambda: detector.fit(train, progress=stages))
    print(f"{device}, {precision}: {stages}", flush=True)
    return detector, seconds


def scored(
    detector: ImageVAEDetector, test: list[np.ndarray], labels: np.ndarray
) -> dict[str, Any]:
    """Return AUROC, and images a second of the score alone and with heatmaps."""
    detector.examine(test[:8])  # the first call pays for what is loaded and chosen once
    seen, with_maps = timed(lambda: detector.examine(test))
    _, alone = timed(lambda: detector.anomaly_score(test))
    return {
        "auroc": auroc(labels, seen.raw_score),
        "scores/s": len(test) / alone,
        "with maps/s": len(test) / with_maps,
        "seen": seen,
    }


def compare(args: argparse.Namespace) -> pd.DataFrame:
    """Train and score on every device; the first one is what others are compared with."""
    surfaces = list(
        render_surfaces(
            args.train, args.test, args.test, colour_share=0.0, size=args.image_size + 96
        )
    )
    train = [s.pixels for s in surfaces if s.split == "train"]
    test = [s for s in surfaces if s.split == "test"]
    pixels, labels = [s.pixels for s in test], np.array([int(s.kind != "good") for s in test])
    first, seconds = trained(train, args.devices[0], "float32", args)
    reference = scored(first, pixels, labels)
    size = first.network_.spec.image_size
    _, preparing = timed(lambda: list(open_images(pixels).chunks(size, first.channels_)))
    print(f"preparing images alone: {len(pixels) / preparing:.0f} images/s")
    rows = [{"device": args.devices[0], "precision": "float32", "train_s": seconds, **reference}]
    with tempfile.TemporaryDirectory() as folder:
        path = first.save(Path(folder) / "model")
        for device in args.devices[1:]:
            same = scored(load_detector(path, device=device), pixels, labels)
            rows.append({"device": device, "precision": "the same model", **same})
            for precision in ("float32", "bf16"):
                own, seconds = trained(train, device, precision, args)
                said = scored(own, pixels, labels)
                rows.append({"device": device, "precision": precision, "train_s": seconds, **said})
    for row in rows:
        seen, wanted = row.pop("seen"), reference.get("seen")
        row["raw_difference"] = float(np.abs(seen.raw_score - wanted.raw_score).max())
        row["heat_difference"] = float(np.abs(seen.heatmap - wanted.heatmap).max())
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--devices", nargs="+", default=["cpu"], help="cpu, cuda, cuda:N")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--model", default="bank")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--train", type=int, default=200, help="good images")
    parser.add_argument("--test", type=int, default=100, help="good, and as many defective ones")
    args = parser.parse_args()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {gpu}"
    )
    print(compare(args).to_string(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
