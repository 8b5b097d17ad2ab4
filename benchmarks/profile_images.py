"""Print where the time of a score goes: the share of each stage of `ImageVAEDetector`, one thread.

    OMP_NUM_THREADS=1 python benchmarks/profile_images.py DATA/magnetic_tiles --preset default

DIR is in the MVTec layout. Its test images are given as arrays of the detector's own size, eight at
a time as the detector takes them. CPU milliseconds an image, the least of the repeats: stages one
after the other, each alone, so they add up to a little less than the whole.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from image_methods import folder_split

from vae_anomaly import ImageVAEDetector
from vae_anomaly.data.images.decode import load_image
from vae_anomaly.detectors.images.features.octaves import few_at_once
from vae_anomaly.detectors.images.networks.bank import BankNetwork, deepened

BATCH = 8


def stages(network: BankNetwork, batch: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Return the stages of a network on images (8, C, S, S)."""
    bank, linear, fine = network.bank, network.linear, network.fine
    octaves = [bank.octaves(part) for part in few_at_once(batch)]
    features = bank(batch)
    z = linear(features.maps)
    deep = deepened(z)
    timed: dict[str, Callable[[], object]] = {
        "octaves and their filters": lambda: [bank.octaves(p) for p in few_at_once(batch)],
        "maps and statistics": lambda: [bank.read(part) for part in octaves],
        "linear level": lambda: linear.heat(linear(features.maps)),
    }
    if fine is not None:
        timed["fine detail"] = lambda: [fine(part) for part in octaves]
    if len(network.members):
        timed["repair VAEs and heads"] = lambda: [member(deep) for member in network.members]
    return timed


def least_ms(work: Callable[[], object], images: int, repeats: int) -> float:
    """Return CPU milliseconds an image, the least of the repeats after a first."""
    found = []
    for _ in range(repeats + 1):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return 1000.0 * min(found[1:]) / images


def measure(root: Path, preset: str, n: int, repeats: int) -> dict[str, float]:
    """Train, and return the milliseconds of each stage and of the whole."""
    split = folder_split(root)
    detector = ImageVAEDetector(preset=preset, random_state=0).fit(split.train)
    size, channels = detector.image_size, detector.channels_
    images = np.stack([load_image(path, (size, size), channels) for path in split.test[:n]])
    batch = torch.from_numpy(images[:BATCH].transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        timed = stages(detector.network_, batch)
        found = {name: least_ms(work, len(batch), repeats) for name, work in timed.items()}
    found["whole"] = least_ms(lambda: detector.examine(list(images)), len(images), repeats)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(args.folder, args.preset, args.images, args.repeats)
    whole = found.pop("whole")
    found["all else: sizes, pooling, judges, table"] = whole - sum(found.values())
    for name, value in {**found, "whole": whole}.items():
        print(f"{name:42}{value:8.2f} ms{100 * value / whole:6.0f} %")


if __name__ == "__main__":
    main()
