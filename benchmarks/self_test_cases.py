"""Image sets on which `self_test.py` asks what the self-test is worth: real, changed, made up.

A case holds images to train on and a labelled test, all decoded. Of real sets so many good images
are drawn as a user may have; changes (turned, shifted, blurred, noisy, faint) are made to good and
defective images alike. Made-up sets are such that a detector is likely to fail: noise, random
layouts of traces, a mix of unlike things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from vae_anomaly.arrays import AnyArray
from vae_anomaly.data.images.decode import decode_image
from vae_anomaly.data.images.folders import list_images

SETS = ("bottle", "casting", "kolektorsdd", "magnetic_tiles", "solar_poly")
SIZES = {12: 6, 20: 6, 40: 2, 80: 2, 180: 2}  # good images to train on: how often drawn
N_GOOD, N_BAD = 50, 70  # of each test


@dataclass(frozen=True)
class Case:
    """Good images, and a test whose first ones are good and whose others are not."""

    name: str
    train: list[AnyArray]
    good: list[AnyArray]
    bad: list[AnyArray]
    image_size: int = 256


def all_cases(data: Path) -> Iterator[Case]:
    """Yield every case, those that take least first."""
    yield from made_up()
    for name in ("mnist", "fashion_mnist"):
        yield from one_class(data / "small_images" / f"{name}.npz")
    for name in SETS:
        yield from real(data / name)


def real(folder: Path) -> Iterator[Case]:
    """Yield a real set with few and many images, and changed."""
    rng = np.random.default_rng(0)
    train = [item.path for item in list_images(folder, split="train") if not item.is_anomaly]
    test = list_images(folder, split="test")
    good = _decoded(_some([i.path for i in test if not i.is_anomaly], N_GOOD, rng))
    bad = _decoded(_some([i.path for i in test if i.is_anomaly], N_BAD, rng))
    for n, draws in SIZES.items():
        for draw in range(draws):
            taken = _decoded(_some(train, n, np.random.default_rng(draw)))
            yield Case(f"{folder.name} {n} draw {draw}", taken, good, bad)
    taken = _decoded(_some(train, 60, np.random.default_rng(2)))
    for name, change in CHANGES.items():
        changed = [[change(image, rng) for image in images] for images in (taken, good, bad)]
        yield Case(f"{folder.name} 60 {name}", *changed)


def one_class(file: Path) -> Iterator[Case]:
    """Yield each class against the others, and the first five classes against the last five."""
    arrays = np.load(file, allow_pickle=False)
    x, y = arrays["x_train"], arrays["y_train"]
    rng = np.random.default_rng(0)
    for k in range(10):
        same, other = (
            rng.permutation(np.flatnonzero(y == k)),
            rng.permutation(np.flatnonzero(y != k)),
        )
        yield _split(f"{file.stem} {k}", [*x[same[:150]]], [*x[other[:N_BAD]]], 64)
    few, rest = rng.permutation(np.flatnonzero(y < 5)), rng.permutation(np.flatnonzero(y >= 5))
    yield _split(f"{file.stem} 0-4", [*x[few[:150]]], [*x[rest[:N_BAD]]], 64)


def made_up() -> Iterator[Case]:
    """Yield sets of noise, traces, blobs and stripes with defects from faint to plain."""
    for name, draw in DRAWN.items():
        for n in (100, 30, 15):
            for strength in (20, 60, 160):
                rng = np.random.default_rng([strength, n])
                good = [draw(rng) for _ in range(n + N_GOOD)]
                bad = [_with_spot(draw(rng), strength, rng) for _ in range(N_BAD)]
                yield _split(f"{name} {n} spot {strength}", good, bad, 128)


def _split(name: str, good: list[AnyArray], bad: list[AnyArray], size: int) -> Case:
    return Case(name, good[:-N_GOOD], good[-N_GOOD:], bad, size)


def _some(paths: list[Path], n: int, rng: Generator) -> list[Path]:
    return [paths[i] for i in sorted(rng.permutation(len(paths))[:n])]


def _decoded(paths: list[Path]) -> list[AnyArray]:
    return [np.asarray(decode_image(path)) for path in paths]


# ---------------------------------------------------------------- what a camera may do


def _turned(image: AnyArray, rng: Generator) -> AnyArray:
    turned = ndimage.rotate(image, rng.uniform(0, 360), reshape=False, order=1, mode="nearest")
    return np.asarray(turned, image.dtype)


def _shifted(image: AnyArray, rng: Generator) -> AnyArray:
    by = [int(rng.uniform(-0.15, 0.15) * side) for side in image.shape[:2]]
    return np.roll(image, by, (0, 1))


def _blurred(image: AnyArray, rng: Generator) -> AnyArray:
    return np.asarray(ndimage.gaussian_filter(image, (3, 3, 0)[: image.ndim]), image.dtype)


def _noisy(image: AnyArray, rng: Generator) -> AnyArray:
    return _as_bytes(image + rng.normal(0, 40, image.shape))


def _faint(image: AnyArray, rng: Generator) -> AnyArray:
    return _as_bytes(118 + 0.08 * image + rng.normal(0, 3, image.shape))


def _as_bytes(image: AnyArray) -> AnyArray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[AnyArray, Generator], AnyArray]] = {
    "turned": _turned,
    "shifted": _shifted,
    "blurred": _blurred,
    "noisy": _noisy,
    "faint": _faint,
}

# ---------------------------------------------------------------- what no model of normal knows


def _noise(rng: Generator) -> AnyArray:
    return rng.integers(0, 256, (128, 128), dtype=np.uint8)


def _cloud(rng: Generator) -> AnyArray:
    smooth = ndimage.gaussian_filter(rng.normal(size=(128, 128)), rng.uniform(2, 12))
    return _as_bytes(128 + 45 * smooth / smooth.std())


def _traces(rng: Generator) -> AnyArray:
    """Draw a board: random traces with a few bends, and pads."""
    board = np.zeros((128, 128))
    for _ in range(14):
        y, x = rng.integers(4, 124, 2)
        for _ in range(4):
            length, wide = int(rng.integers(10, 60)), int(rng.integers(2, 5))
            if rng.random() < 0.5:
                board[y : y + wide, x : x + length], x = 1, min(120, x + length)
            else:
                board[y : y + length, x : x + wide], y = 1, min(120, y + length)
        board[max(0, y - 5) : y + 5, max(0, x - 5) : x + 5] = 1
    return _as_bytes(30 + 190 * board + rng.normal(0, 4, board.shape))


def _stripes(rng: Generator) -> AnyArray:
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 40)
    y, x = np.mgrid[:128, :128]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return _as_bytes(128 + rng.uniform(20, 90) * wave + rng.normal(0, 5, wave.shape))


def _leaves(rng: Generator) -> AnyArray:
    """Draw overlapping discs of any brightness (the dead leaves model)."""
    image, (y, x) = np.zeros((128, 128)), np.mgrid[:128, :128]
    for _ in range(150):
        cy, cx, radius = rng.uniform(0, 128), rng.uniform(0, 128), 3 + 25 * rng.random() ** 3
        image[(y - cy) ** 2 + (x - cx) ** 2 < radius**2] = rng.uniform(0, 255)
    return _as_bytes(image)


def _shapes(rng: Generator) -> AnyArray:
    """Draw parts in bulk: rectangles of two sizes that lie as they fell, on a plain belt."""
    image = np.full((128, 128), 60.0)
    for _ in range(int(rng.integers(8, 16))):
        (cy, cx), angle = rng.uniform(0, 128, 2), rng.uniform(0, np.pi)
        y, x = np.mgrid[:128, :128] - np.array([cy, cx])[:, None, None]
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        long, wide = ((18, 5), (9, 8))[int(rng.integers(2))]
        image[(abs(u) < long) & (abs(v) < wide)] = rng.uniform(130, 200)
    return _as_bytes(image + rng.normal(0, 4, image.shape))


def _text(rng: Generator) -> AnyArray:
    """Draw lines of strokes like print that differs on every label."""
    image = np.full((128, 128), 225.0)
    for top in range(6, 120, 14):
        for left in range(6, 120, 8):
            if rng.random() < 0.85:
                strokes = rng.random((5, 3)) < 0.5
                glyph = np.kron(strokes, np.ones((2, 2)))
                image[top : top + 10, left : left + 6][glyph.astype(bool)] = 40
    return _as_bytes(image + rng.normal(0, 4, image.shape))


DRAWN: dict[str, Callable[[Generator], AnyArray]] = {
    "noise": _noise,
    "clouds": _cloud,
    "traces": _traces,
    "stripes": _stripes,
    "leaves": _leaves,
    "shapes": _shapes,
    "text": _text,
}


def _with_spot(image: AnyArray, strength: int, rng: Generator) -> AnyArray:
    """Return an image with a round spot of 6 to 12 pixels, brighter or darker by ``strength``."""
    (cy, cx), radius = rng.uniform(15, 113, 2), rng.uniform(3, 6)
    y, x = np.mgrid[:128, :128]
    spot = np.exp(-((((y - cy) ** 2 + (x - cx) ** 2) / radius**2) ** 2))
    return _as_bytes(image + rng.choice([-1, 1]) * strength * spot)
