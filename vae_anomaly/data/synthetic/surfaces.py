"""Render pictures of surfaces as a line camera would see them, good and defective."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from vae_anomaly.arrays import Bools, Bytes
from vae_anomaly.data.synthetic.flaws import FLAW_KINDS, add_flaw
from vae_anomaly.data.synthetic.materials import Scene, render_cloth, render_plate
from vae_anomaly.errors import ConfigError
from vae_anomaly.progress import Progress, null_progress

_PARTS = {"train": 0, "test": 1, "flaw": 2}


@dataclass(frozen=True)
class Surface:
    """One rendered picture.

    Parameters
    ----------
    split : {"train", "test"}
    kind : {"good", "scratch", "hole", "stain"}
    name : str
        File name without ending, distinct within split and kind.
    pixels : ndarray of shape (H, W) or (H, W, 3), uint8
    mask : ndarray of shape (H, W), bool, optional
        Where the defect is; None for a good surface.
    """

    split: str
    kind: str
    name: str
    pixels: Bytes
    mask: Bools | None = None


def render_surfaces(
    n_good_train: int = 160,
    n_good_test: int = 40,
    n_defective: int = 60,
    *,
    colour_share: float = 0.5,
    size: int = 160,
    random_state: int = 0,
) -> Iterator[Surface]:
    """Render brushed metal plates in grey and woven cloth in colour, good and defective.

    Light, position, angle and texture differ from picture to picture. A defect is a scratch, a
    hole or a stain in turn, of a size and contrast that a careful person sees. Each picture
    depends on the seed and its own number only: more pictures leave the others as they are.

    Parameters
    ----------
    n_good_train, n_good_test, n_defective : int
        Numbers of pictures; the defective ones belong to the test.
    colour_share : float in [0, 1]
        Share of cloth; the rest are plates.
    size : int
        Height and width, pixels, at least 32.
    random_state : int

    Yields
    ------
    Surface

    Raises
    ------
    ConfigError
        If a number is out of range.

    Examples
    --------
    >>> [s.kind for s in render_surfaces(1, 1, 3, size=64)]
    ['good', 'good', 'scratch', 'hole', 'stain']
    """
    if not 0 <= colour_share <= 1:
        raise ConfigError(f"colour_share must be in [0, 1]. Got {colour_share}.")
    if size < 32:
        raise ConfigError(f"size must be at least 32 pixels, to show a defect. Got {size}.")
    if min(n_good_train, n_good_test, n_defective) < 0:
        raise ConfigError(
            f"Numbers of pictures cannot be negative. Got {n_good_train}, {n_good_test}, "
            f"{n_defective}."
        )
    counts = {"train": n_good_train, "test": n_good_test, "flaw": n_defective}
    return (
        _render(part, number, _is_coloured(number, part, colour_share), size, random_state)
        for part, count in counts.items()
        for number in range(count)
    )


def write_surfaces(
    folder: str | Path,
    n_good_train: int = 160,
    n_good_test: int = 40,
    n_defective: int = 60,
    *,
    colour_share: float = 0.5,
    size: int = 160,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write rendered surfaces as PNG files in the MVTec layout.

    Parameters
    ----------
    folder : path
        Made where it does not exist; gets ``train/good``, ``test/<kind>`` and
        ``ground_truth/<kind>`` with ``<name>_mask.png``.
    n_good_train, n_good_test, n_defective, colour_share, size, random_state
        As in `render_surfaces`.
    progress : callable, optional

    Returns
    -------
    Path
        The folder.
    """
    root, tell = Path(folder), progress or null_progress
    total = n_good_train + n_good_test + n_defective
    surfaces = render_surfaces(
        n_good_train,
        n_good_test,
        n_defective,
        colour_share=colour_share,
        size=size,
        random_state=random_state,
    )
    for done, surface in enumerate(surfaces, start=1):
        _write_png(root / surface.split / surface.kind / f"{surface.name}.png", surface.pixels)
        if surface.mask is not None:
            mask = surface.mask.astype(np.uint8) * np.uint8(255)
            _write_png(root / "ground_truth" / surface.kind / f"{surface.name}_mask.png", mask)
        tell("render surfaces", done, total)
    return root


def _write_png(path: Path, pixels: Bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")


def _is_coloured(number: int, part: str, share: float) -> bool:
    """Spread colour evenly; among flaws, over each kind."""
    place = number // len(FLAW_KINDS) if part == "flaw" else number
    return int((place + 1) * share) > int(place * share)


def _render(part: str, number: int, coloured: bool, size: int, random_state: int) -> Surface:
    """Render one picture from its own random stream."""
    rng = np.random.default_rng([random_state, _PARTS[part], number])
    scene = render_cloth(size, rng) if coloured else render_plate(size, rng)
    name = f"{'cloth' if coloured else 'plate'}_{number:04d}"
    if part != "flaw":
        return Surface(part, "good", name, _photograph(scene, rng))
    kind = FLAW_KINDS[number % len(FLAW_KINDS)]
    flawed, mask = add_flaw(scene, kind, rng)
    return Surface("test", kind, name, _photograph(flawed, rng), mask)


def _photograph(scene: Scene, rng: np.random.Generator) -> Bytes:
    """Turn light into 8-bit pixels: a slightly soft lens, shot and read-out noise, gamma."""
    softness = rng.uniform(0.35, 0.6) * scene.inside.shape[0] / 160
    axes = (softness, softness) if scene.light.ndim == 2 else (softness, softness, 0)
    light = np.clip(gaussian_filter(scene.light, axes), 0, None)
    noise = np.sqrt(0.00012 * light + 0.000015) * rng.standard_normal(light.shape)
    pixels = np.clip(light + noise, 0, 1) ** (1 / 1.25)
    return np.rint(pixels * 255).astype(np.uint8)
