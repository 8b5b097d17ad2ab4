"""Render images of surfaces as a line camera would see them, good and defective.

A defect is a scratch, a hole or a stain, and the mask says exactly where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from vae_anomaly.arrays import Bools, Bytes, Floats
from vae_anomaly.data.synthetic.materials import (
    REFERENCE_SIZE,
    Scene,
    render_cloth,
    render_plate,
    smooth_noise,
)
from vae_anomaly.errors import ConfigError
from vae_anomaly.files import replace_file
from vae_anomaly.progress import Progress, null_progress

FLAW_KINDS = ("scratch", "hole", "stain")
VISIBLE_SHARE = 0.25  # a pixel belongs to the mask where the flaw has this share of its strength
_PARTS = {"train": 0, "test": 1, "flaw": 2}


@dataclass(frozen=True)
class Surface:
    """One rendered image.

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

    Light, position, angle and texture differ from image to image. A defect is a scratch, a
    hole or a stain in turn, of a size and contrast that a careful person sees. Each image
    depends on the seed and its own number only: more images leave the others as they are.

    Parameters
    ----------
    n_good_train, n_good_test, n_defective : int
        Numbers of images; the defective ones belong to the test.
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
            f"Numbers of images cannot be negative. Got {n_good_train}, {n_good_test}, "
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
    with replace_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def _is_coloured(number: int, part: str, share: float) -> bool:
    """Spread colour evenly; among flaws, over each kind."""
    place = number // len(FLAW_KINDS) if part == "flaw" else number
    return int((place + 1) * share) > int(place * share)


def _render(part: str, number: int, coloured: bool, size: int, random_state: int) -> Surface:
    """Render one image from its own random stream."""
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


def add_flaw(scene: Scene, kind: str, rng: np.random.Generator) -> tuple[Scene, Bools]:
    """Add one flaw of a kind at a random place of the surface.

    Returns the scene with the flaw in its light, and its mask of shape (H, W), bool, never empty.
    """
    draw = {"scratch": _scratch, "hole": _hole, "stain": _stain}[kind]
    fewest = max(3, 12 * _scale(scene) ** 2)
    while True:
        light, strength = draw(scene, rng)
        mask = (strength > VISIBLE_SHARE) & (scene.inside > 0)
        if mask.sum() >= fewest:
            return Scene(light, scene.inside, scene.angle), mask


def _scratch(scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw a slightly bent line that fades at its ends: a groove in metal, a snag in cloth."""
    scale = _scale(scene)
    coarse = 1.8 if scene.light.ndim == 3 else 1.0  # threads hide what metal shows
    length, bend = rng.uniform(26, 70) * scale, rng.normal(0, 5) * scale
    direction = rng.uniform(0, np.pi)
    along, across, t = _bent_line(scene, _place(scene, rng, 8 * scale), direction, length, bend)
    width = rng.uniform(0.55, 0.95) * scale * coarse
    pressure = np.clip(1.15 - np.abs(t) ** 3, 0, 1) * (0.75 + 0.25 * np.sin(along / (5 * scale)))
    groove = pressure * np.exp(-0.5 * np.square(across / width))
    edge = pressure * np.exp(-0.5 * np.square((across - 1.7 * width) / width))
    contrast = rng.uniform(0.28, 0.55) * rng.choice([1, 1, -0.8]) * coarse
    relief = contrast * (groove - 0.7 * edge) * (scene.inside > 0)
    return _relit(scene.light, np.clip(1 + relief, 0.15, None)), np.maximum(groove, edge)


def _bent_line(
    scene: Scene, centre: tuple[float, float], direction: float, length: float, bend: float
) -> tuple[Floats, Floats, Floats]:
    """Return position along and across a parabola through the centre, and -1 .. 1 along it."""
    rows, columns = np.mgrid[: scene.inside.shape[0], : scene.inside.shape[1]].astype(float)
    x, y = columns - centre[1], rows - centre[0]
    along = np.cos(direction) * x + np.sin(direction) * y
    t = along / (length / 2)
    across = -np.sin(direction) * x + np.cos(direction) * y - bend * np.square(np.clip(t, -1, 1))
    return along, across, np.where(np.abs(t) <= 1, t, 2.0)


def _hole(scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw a small ragged pit, dark with a rim that is bright on the side away from the light."""
    scale = _scale(scene)
    radius = rng.uniform(1.9, 4.4) * scale
    distance, angle = _polar(scene, _place(scene, rng, radius + 4 * scale))
    ragged = radius * (1 + _ragged(angle, rng, 0.16))
    pit = 1 / (1 + np.exp((distance - ragged) / (0.45 * scale)))
    rim = np.exp(-0.5 * np.square((distance - ragged - 0.9 * scale) / (0.8 * scale)))
    rim = rim * (0.5 + 0.5 * np.cos(angle - 0.9))
    depth = rng.uniform(0.4, 0.7)
    return _relit(scene.light, 1 - depth * pit + 0.16 * rim * (scene.inside > 0)), pit


def _stain(scene: Scene, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw a faint dried drop: a little darker, most so at its border, and brownish on colour."""
    scale = _scale(scene)
    radius = rng.uniform(8, 17) * scale
    distance, angle = _polar(scene, _place(scene, rng, 0.7 * radius))
    ragged = radius * (1 + _ragged(angle, rng, 0.22))
    body = 1 / (1 + np.exp((distance - ragged) / (1.5 * scale)))
    ring = np.exp(-0.5 * np.square((distance - ragged + 1.5 * scale) / (1.6 * scale)))
    patchy = smooth_noise((body.shape[0], body.shape[1]), rng, 5 * scale, 5 * scale)
    strength = body * np.clip(0.8 + 0.3 * patchy, 0.45, 1.2) + 0.5 * ring
    dose = rng.uniform(0.09, 0.2) * (1.8 if scene.light.ndim == 3 else 1.0)  # threads hide it
    tint = np.array([0.7, 1.0, 1.4]) if scene.light.ndim == 3 else 1.0
    loss = dose * (strength * (scene.inside > 0))
    factor = 1 - (loss[..., None] * tint if scene.light.ndim == 3 else loss)
    return scene.light * factor, body


def _polar(scene: Scene, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return distance and direction of every pixel from a place."""
    rows, columns = np.mgrid[: scene.inside.shape[0], : scene.inside.shape[1]].astype(float)
    x, y = columns - centre[1], rows - centre[0]
    return np.hypot(x, y), np.arctan2(y, x)


def _ragged(angle: Floats, rng: np.random.Generator, amount: float) -> Floats:
    """Return a wavy outline as a function of direction, with the given deviation."""
    waves = sum(
        rng.normal(0, 1 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(2, 8)
    )
    return np.clip(amount * np.asarray(waves), -0.6, 0.6)


def _place(scene: Scene, rng: np.random.Generator, margin: float) -> tuple[float, float]:
    """Choose a place at least `margin` pixels inside the surface."""
    rows, columns = np.nonzero(scene.inside > min(margin, 0.9 * float(scene.inside.max())))
    chosen = int(rng.integers(rows.size))
    return float(rows[chosen]), float(columns[chosen])


def _relit(light: Floats, factor: Floats) -> Floats:
    return light * (factor[..., None] if light.ndim == 3 else factor)


def _scale(scene: Scene) -> float:
    return float(scene.inside.shape[0] / REFERENCE_SIZE)
