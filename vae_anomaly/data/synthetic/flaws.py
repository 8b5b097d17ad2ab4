"""Put scratches, holes and stains on a rendered surface, and say exactly where they are."""

from __future__ import annotations

import numpy as np

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.data.synthetic.materials import REFERENCE_SIZE, Scene, smooth_noise

FLAW_KINDS = ("scratch", "hole", "stain")
VISIBLE_SHARE = 0.25  # a pixel belongs to the mask where the flaw has this share of its strength


def add_flaw(scene: Scene, kind: str, rng: np.random.Generator) -> tuple[Scene, Bools]:
    """Add one flaw at a random place of the surface.

    Parameters
    ----------
    kind : {"scratch", "hole", "stain"}

    Returns
    -------
    scene : Scene
        With the flaw in its light.
    mask : ndarray of shape (H, W), bool
        Never empty.
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
