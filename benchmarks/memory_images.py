"""Measure memory, time and what is found of large images in tiles, through the command line.

    python benchmarks/memory_images.py --size 4096 --images 12 24 --preset fast
    python benchmarks/memory_images.py --size 4096 --images 12 --max-steps 100

Woven fabrics are made and written as PNG; in three new ones a square of 0.1 %, 0.01 % and 0.001 %
of the area has its threads turned by 90 degrees, which changes no brightness. ``train images
--tile-size`` and ``score images`` run as processes of their own, and the peak of their resident
memory is what the kernel says (`os.wait4`). ``--whole`` trains on the images as a whole instead.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from memory_tables import measure
from PIL import Image
from scipy import ndimage

from vae_anomaly.batch import read_results

AREAS = (1e-3, 1e-4, 1e-5)


def fabric(seed: int, size: int) -> np.ndarray:
    """Return a woven fabric, uint8."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((size, size), dtype=np.float32)
    threads = 72.0 * ndimage.uniform_filter1d(noise, 9, axis=1, mode="wrap")
    return np.clip(120 + rng.uniform(-8, 8) + threads, 0, 255).astype(np.uint8)


def write_images(folder: Path, size: int, n: int) -> None:
    """Write training images, three good ones and three with a defect."""
    for name in ("train", "night"):
        (folder / name).mkdir(exist_ok=True)
    for i in range(n):
        Image.fromarray(fabric(i, size)).save(folder / "train" / f"{i:03d}.png", compress_level=1)
    for i in range(3):
        good, side = fabric(10_000 + i, size), round(size * AREAS[i] ** 0.5)
        Image.fromarray(good).save(folder / "night" / f"good{i}.png", compress_level=1)
        y, x = np.random.default_rng(i).integers(0, size - side, 2)
        good[y : y + side, x : x + side] = good[y : y + side, x : x + side].T.copy()
        name = f"share{AREAS[i]:g}_y{y}_x{x}_side{side}.png"
        Image.fromarray(good).save(folder / "night" / name, compress_level=1)


def run(args: argparse.Namespace, n: int, folder: Path) -> None:
    """Train on ``n`` images and score six; print what it took and what was found."""
    write_images(folder, args.size, n)
    model, out = folder / f"model{n}", folder / f"out{n}"
    common = ["--out", str(model), "--no-register", "--preset", args.preset, "--target-fpr", "0.1"]
    common += [] if args.whole else ["--tile-size", str(args.tile_size)]
    common += ["--max-steps", str(args.max_steps)] if args.max_steps else []
    steps = {
        "train": ["train", "images", str(folder / "train"), *common],
        "score": ["score", "images", str(model), str(folder / "night"), "--out", str(out)],
    }
    for name, arguments in steps.items():
        peak, wall, cpu = measure(arguments, folder / f"{name}.log")
        print(f"{name}  {n if name == 'train' else 6} images of {args.size} x {args.size}  "
              f"peak {peak:,.0f} MB  CPU {cpu:,.0f} s  wall {wall:,.0f} s", flush=True)  # fmt: skip
    size_mb = sum(path.stat().st_size for path in model.iterdir()) / 1e6
    print(f"model {size_mb:.0f} MB")
    results = read_results(out)
    for row in results.to_dict("records"):
        print(f"{row['id']}  score {row['score']:.2f}  flagged {row['is_anomaly']}  "
              f"{_boxes(out, row['mask'])}")  # fmt: skip


def _boxes(out: Path, mask: object) -> str:
    if not isinstance(mask, str):
        return ""
    labels, _ = ndimage.label(np.asarray(Image.open(out / mask)) > 0)
    boxes = ndimage.find_objects(labels)
    return " ".join(f"y {y.start}-{y.stop} x {x.start}-{x.stop}" for y, x in boxes[:5])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--images", type=int, nargs="+", default=[12])
    parser.add_argument("--tile-size", type=int, default=256)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--whole", action="store_true", help="without tiles, for comparison")
    args = parser.parse_args()
    for n in args.images:
        with tempfile.TemporaryDirectory() as folder:
            run(args, n, Path(folder))


if __name__ == "__main__":
    main()
