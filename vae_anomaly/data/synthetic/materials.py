"""Render one flawless surface: a brushed metal plate in grey, or woven cloth in colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Floats

REFERENCE_SIZE = 160  # sizes in pixels below are meant for this edge


@dataclass(frozen=True)
class Scene:
    """A surface before the camera: linear light, and where a defect may lie.

    Parameters
    ----------
    light : ndarray of shape (H, W) or (H, W, 3), float64, about 0 to 1
    inside : ndarray of shape (H, W), float64
        Distance to the surface's border in pixels, negative outside.
    angle : float
        Direction of brushing or of the threads, radians.
    """

    light: Floats
    inside: Floats
    angle: float


def render_plate(size: int, rng: np.random.Generator) -> Scene:
    """Render a brushed plate in grey with rounded corners and two bores, on a dark belt.

    It is shifted by up to 4 % and turned by up to 3 degrees; ``size`` is height and width, pixels.
    """
    scale = size / REFERENCE_SIZE
    angle = float(np.deg2rad(rng.uniform(-3, 3)))
    u, v = _part_coordinates(size, angle, rng.uniform(-0.04, 0.04, 2) * size)
    plate = _rounded_box(u, v, 0.43 * size, 0.37 * size, 0.07 * size)
    bores = np.minimum(*(np.hypot(u - side * 0.29 * size, v) - 0.062 * size for side in (-1, 1)))
    inside = np.minimum(-plate, bores)
    brushed = _brushed(u, v, rng, scale)
    surface = 0.56 + rng.normal(0, 0.012) + 0.052 * brushed + 0.20 * _bevel(inside, u, v, scale)
    surface *= _lighting(size, rng, strength=0.16)
    belt = 0.12 + 0.018 * _cloudy(size, rng, 1.2 * scale) + 0.02 * _cloudy(size, rng, 14 * scale)
    cover = _smooth_step(inside / (0.9 * scale))
    shadow = 1 - 0.45 * np.exp(-np.clip(plate, 0, None) / (5 * scale)) * (plate > 0)
    light = cover * surface + (1 - cover) * belt * shadow
    return Scene(light, inside, angle)


def render_cloth(size: int, rng: np.random.Generator) -> Scene:
    """Render plain-woven cloth in RGB that fills the image of ``size`` pixels.

    The threads begin anywhere, run up to 4 degrees off, and are slightly wavy.
    """
    scale = size / REFERENCE_SIZE
    angle = float(np.deg2rad(rng.uniform(-4, 4)))
    u, v = _part_coordinates(size, angle, rng.uniform(0, 20, 2) * scale)
    u = u + 0.9 * scale * _cloudy(size, rng, 24 * scale)
    v = v + 0.9 * scale * _cloudy(size, rng, 24 * scale)
    warp, weft, over = _weave(u, v, 5.6 * scale)
    dye = np.array([0.20, 0.36, 0.47]) * (1 + rng.normal(0, 0.015, 3))
    pale = np.array([0.34, 0.47, 0.55]) * (1 + rng.normal(0, 0.015, 3))
    threads = over[..., None] * dye * _thread_tone(u, 5.6 * scale, rng)[..., None]
    threads += (1 - over[..., None]) * pale * _thread_tone(v, 5.6 * scale, rng)[..., None]
    relief = 0.62 + 0.38 * np.where(over > 0.5, warp, weft)
    fuzz = 1 + 0.05 * _cloudy(size, rng, 0.7 * scale) + 0.035 * _cloudy(size, rng, 9 * scale)
    shade = relief * fuzz * _lighting(size, rng, strength=0.13)
    border = np.minimum(*(np.minimum(a, size - 1 - a) for a in np.mgrid[:size, :size])).astype(
        float
    )
    return Scene(1.25 * threads * shade[..., None], border, angle)


def _part_coordinates(size: int, angle: float, shift: Floats) -> tuple[Floats, Floats]:
    """Return coordinates that move and turn with the part, in pixels from its centre."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2.0
    x, y = columns - shift[0], rows - shift[1]
    return np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y


def _rounded_box(u: Floats, v: Floats, half_u: float, half_v: float, radius: float) -> Floats:
    """Return the signed distance to a box with round corners, negative inside."""
    du, dv = np.abs(u) - half_u + radius, np.abs(v) - half_v + radius
    outer: Floats = np.hypot(np.clip(du, 0, None), np.clip(dv, 0, None))
    return np.asarray(outer + np.minimum(np.maximum(du, dv), 0) - radius)


def _brushed(u: Floats, v: Floats, rng: np.random.Generator, scale: float) -> Floats:
    """Return streaks along u that turn with the part, mean 0 and deviation about 1."""
    long, short = (16 * (int(np.ptp(axis)) // 16 + 2) for axis in (u, v))
    sheet = np.zeros((short, long))
    for share, width, length in ((0.75, 0.5, 34), (0.5, 1.4, 60), (0.35, 0.4, 7)):
        sheet += share * smooth_noise((short, long), rng, width * scale, length * scale)
    rows = np.clip(v - v.min(), 0, short - 1.001)
    columns = np.clip(np.rint(u - u.min()).astype(int), 0, long - 1)
    low = rows.astype(int)
    part = rows - low
    streaks: Floats = (1 - part) * sheet[low, columns] + part * sheet[low + 1, columns]
    return streaks


def _bevel(inside: Floats, u: Floats, v: Floats, scale: float) -> Floats:
    """Return light on the chamfered edge: bright towards the upper left, dark away from it."""
    slope_v, slope_u = np.gradient(inside)
    facing = -(0.6 * slope_u + 0.8 * slope_v)
    edge: Floats = np.exp(-np.square((inside - 1.6 * scale) / (1.3 * scale)))
    return np.asarray(edge * facing)


def _weave(u: Floats, v: Floats, pitch: float) -> tuple[Floats, Floats, Floats]:
    """Return the roundness of warp and weft threads, and which of them lies on top."""
    a, b = u / pitch, v / pitch
    warp = np.abs(np.cos(np.pi * (a - np.floor(a) - 0.5))) * (0.75 + 0.25 * np.cos(np.pi * b))
    weft = np.abs(np.cos(np.pi * (b - np.floor(b) - 0.5))) * (0.75 + 0.25 * np.cos(np.pi * a))
    checker = np.sin(np.pi * a) * np.sin(np.pi * b)
    return warp, weft, _smooth_step(4 * checker)


def _thread_tone(position: Floats, pitch: float, rng: np.random.Generator) -> Floats:
    """Return a tone for each thread, as no two are dyed quite alike."""
    thread = np.floor(position / pitch).astype(int)
    tones: Floats = 1 + rng.normal(0, 0.035, int(np.ptp(thread)) + 1)
    return np.asarray(tones[thread - thread.min()])


def _lighting(size: int, rng: np.random.Generator, strength: float) -> Floats:
    """Return uneven light: a slope in any direction and one broad reflection, mean near 1."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    direction = rng.uniform(0, 2 * np.pi)
    slope = np.cos(direction) * columns + np.sin(direction) * rows
    centre = rng.uniform(-0.35, 0.35, 2)
    spot = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 0.18)
    exposure = 1 + rng.normal(0, 0.02)
    uneven = rng.uniform(0.3, 1) * slope + 0.5 * (spot - 0.35)
    return np.asarray(exposure * (1 + strength * uneven))


def _cloudy(size: int, rng: np.random.Generator, sigma: float) -> Floats:
    """Return smooth noise of deviation 1 with structures of about `sigma` pixels."""
    return smooth_noise((size, size), rng, sigma, sigma)


def smooth_noise(
    shape: tuple[int, int], rng: np.random.Generator, sigma_rows: float, sigma_columns: float
) -> Floats:
    """Return white noise (H, W) blurred by a Gaussian, as on a torus, scaled to deviation 1.

    The sigmas are in pixels.
    """
    rows, columns = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    decay = (sigma_rows * rows[:, None]) ** 2 + (sigma_columns * columns) ** 2
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) * np.exp(-2 * np.pi**2 * decay)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, shape)
    return np.asarray(noise / noise.std())


def _smooth_step(x: Floats) -> Floats:
    """Return 0 below -1, 1 above 1, and a smooth slope between."""
    t = np.clip((x + 1) / 2, 0, 1)
    return t * t * (3 - 2 * t)
