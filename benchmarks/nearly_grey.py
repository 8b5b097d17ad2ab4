"""Ask what three channels cost where colour files are nearly grey, and what one channel hides.

    python benchmarks/nearly_grey.py bottle tiles ... [--most 200]

Each DIR is a folder in the MVTec layout. Its images are made grey and given a colour that carries
nothing about their defects: a constant tint of one grey level, a tint that grows with brightness,
or the chroma noise of a camera behind a JPEG of quality 85. A detector (``preset="fast"``) is
fitted with one and with three channels, and image AUROC, flagged defects and flagged good images
at its own threshold are printed; last, of how many good images with a coloured stain it tells.
Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from vae_anomaly import ImageVAEDetector
from vae_anomaly.arrays import AnyArray, Bytes
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import list_images
from vae_anomaly.metrics import auroc

STAIN = np.array([60.0, -30.0, -30.0])


def tinted(grey: AnyArray, _: np.random.Generator) -> AnyArray:
    """Add one level of red and take one of blue."""
    return grey[..., None] + np.array([1.0, 0.0, -1.0])


def warm(grey: AnyArray, _: np.random.Generator) -> AnyArray:
    """Make red 2 % brighter and blue 2 % darker."""
    return grey[..., None] * np.array([1.02, 1.0, 0.98])


def noisy(grey: AnyArray, rng: np.random.Generator) -> AnyArray:
    """Add noise of 1.5 levels to each channel, and save as a colour JPEG of quality 85."""
    rgb = np.clip(grey[..., None] + rng.normal(0, 1.5, (*grey.shape, 3)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(np.rint(rgb).astype(np.uint8)).save(file, "JPEG", quality=85)
    return np.asarray(Image.open(file).convert("RGB")).astype(float)


VARIANTS: dict[str, Callable[[AnyArray, np.random.Generator], AnyArray]] = {
    "tinted": tinted, "warm": warm, "noisy": noisy,
}  # fmt: skip


def grey_of(path: Path) -> AnyArray:
    """Return the brightness of an image, (H, W), float64 from 0 to 255."""
    pixels = decode_image(path)
    return pixels.astype(float) if pixels.ndim == 2 else pixels @ np.array([0.299, 0.587, 0.114])


def as_bytes(pixels: AnyArray) -> Bytes:
    """Round to 8 bits."""
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)


def stained(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Colour a square of a sixth of the side red, its brightness nearly kept."""
    side = min(image.shape[:2]) // 6
    top, left = (int(rng.integers(0, n - side)) for n in image.shape[:2])
    out = image.astype(float)
    out[top : top + side, left : left + side] += STAIN
    return as_bytes(out)


def main() -> None:
    """Print a line for each folder, variant and number of channels."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--most", type=int, default=200)
    args = parser.parse_args()
    for folder in args.folders:
        items = list_images(folder)
        good = [grey_of(i.path) for i in items if i.split == "train"][: args.most]
        tests = [i for i in items if i.split == "test"]
        kinds = np.array([bool(i.is_anomaly) for i in tests])
        some = np.concatenate([np.flatnonzero(kinds == k)[: args.most // 2] for k in (False, True)])
        tests, kinds = [tests[i] for i in some], kinds[some]
        tested = [grey_of(i.path) for i in tests]
        for name, make in VARIANTS.items():
            rng = np.random.default_rng(0)
            train = [as_bytes(make(image, rng)) for image in good]
            test = [as_bytes(make(image, rng)) for image in tested]
            stain = [stained(image, rng) for image, k in zip(test, kinds, strict=True) if not k]
            for channels in (1, 3):
                detector = ImageVAEDetector(preset="fast", channels=channels, random_state=0)
                detector.fit(train)
                bound, scores = detector.threshold_.value, detector.anomaly_score(test)
                found = detector.anomaly_score(stain) > bound
                print(
                    f"{folder.name:15} {name:7} {channels}  AUROC {100 * auroc(kinds, scores):5.1f}"
                    f"  flagged {(scores[kinds] > bound).mean():5.1%} of defects, "
                    f"{(scores[~kinds] > bound).mean():5.1%} of good, "
                    f"{found.mean():5.1%} of stains",
                    flush=True,
                )


if __name__ == "__main__":
    main()
