"""Measure how many images a second `ImageVAEDetector` scores on one core, from JPEG files.

    OMP_NUM_THREADS=1 python benchmarks/speed_images.py DATA/magnetic_tiles
    OMP_NUM_THREADS=1 python benchmarks/speed_images.py DATA/bottle --images 100

DIR is in the MVTec layout. Its test images are written as JPEG files (quality 95) to a temporary
folder. Timed in turn, in one run: decoding and resizing alone, as the detector does it; the same
with Pillow alone (decode, to one or three channels, bilinear resizing); ``anomaly_score(paths)``
end to end; and ``anomaly_score`` of decoded arrays, resizing included. The clock counts CPU
seconds of this process on one thread, so that other work on the machine changes little; the median
of the repeats counts. The share is the time of decoding and resizing alone by the time of end to
end: 1 would mean that scoring itself costs nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from image_methods import folder_split
from PIL import Image

from vae_anomaly import ImageVAEDetector
from vae_anomaly.data.images.decode import decode_image, load_image

QUALITY = 95


def write_jpegs(paths: list[Path], folder: Path) -> list[Path]:
    """Write images as JPEG files."""
    written = []
    for i, path in enumerate(paths):
        written.append(folder / f"{i:05d}.jpg")
        Image.fromarray(decode_image(path)).save(written[-1], quality=QUALITY)
    return written


def with_pillow(paths: list[Path], size: int, channels: int) -> None:
    """Decode and resize with Pillow alone."""
    for path in paths:
        with Image.open(path) as image:
            pixels = image.convert("L" if channels == 1 else "RGB")
            np.asarray(pixels.resize((size, size), Image.Resampling.BILINEAR), np.float32)


def contenders(
    detectors: dict[str, ImageVAEDetector], paths: list[Path]
) -> dict[str, Callable[[], Any]]:
    """Return what is timed."""
    first = next(iter(detectors.values()))
    size, channels = first.image_size, first.channels_
    arrays = [decode_image(path) for path in paths]
    timed: dict[str, Callable[[], Any]] = {
        "decode and resize": lambda: [load_image(p, (size, size), channels) for p in paths],
        "the same, Pillow": lambda: with_pillow(paths, size, channels),
    }
    for name, detector in detectors.items():
        timed[f"{name}, from files"] = lambda d=detector: d.anomaly_score(paths)
        timed[f"{name}, from arrays"] = lambda d=detector: d.anomaly_score(arrays)
    return timed


def cpu_seconds(timed: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the CPU seconds of each, the median of interleaved repeats."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, work in timed.items():
            began = time.process_time()
            work()
            found[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in found.items()}


def measure(
    root: Path, presets: list[str], n: int = 200, repeats: int = 3, image_size: int = 256
) -> dict[str, float]:
    """Train with each preset, and return the CPU seconds that each way takes for n images."""
    split = folder_split(root)
    detectors = {
        preset: ImageVAEDetector(image_size, preset=preset, random_state=0).fit(split.train)
        for preset in presets
    }
    rows = np.random.default_rng(0).permutation(len(split.test))[:n]
    with tempfile.TemporaryDirectory() as folder:
        paths = write_jpegs([Path(split.test[i]) for i in rows], Path(folder))
        size = np.mean([path.stat().st_size for path in paths]) / 1024
        print(f"{root.name}: {len(paths)} JPEG files, {size:.0f} KiB on average, one thread")
        seconds = cpu_seconds(contenders(detectors, paths), repeats)
        return {name: value / len(paths) for name, value in seconds.items()}


def report(seconds: dict[str, float], presets: list[str]) -> str:
    """Return images a CPU second, and the share that decoding and resizing have."""
    lines = [f"{name:22}{1 / value:8.0f} images / CPU s" for name, value in seconds.items()]
    for preset in presets:
        whole = seconds[f"{preset}, from files"]
        own, pillow = seconds["decode and resize"] / whole, seconds["the same, Pillow"] / whole
        lines.append(
            f"{preset}: end to end at {own:.2f} of decoding and resizing alone "
            f"({pillow:.2f} of Pillow's)"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--presets", nargs="+", default=["default", "fast"])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(report(measure(args.folder, args.presets, args.images, args.repeats), args.presets))


if __name__ == "__main__":
    main()
