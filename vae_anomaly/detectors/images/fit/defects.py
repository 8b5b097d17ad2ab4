"""Synthetic defects on good images: what the repair VAE learns to take away.

Four families, drawn in the shares of `FAMILIES`: *spot* (wobbly dark or bright ellipse),
*scratch* (a random walk), *patch* (foreign or turned texture pasted through a soft mask) and
*change* (the same texture with another level, contrast, sharpness or noise). About a third of
the images get two. No image of a real defect is ever used.

References
----------
Zavrtanik, Kristan and Skocaj, DRAEM, 2021. Li et al., CutPaste, 2021. The shares and ranges are
our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from vae_anomaly.arrays import Floats32
from vae_anomaly.errors import ConfigError

FAMILIES: Final[dict[str, float]] = {"spot": 0.27, "scratch": 0.23, "patch": 0.25, "change": 0.25}
"""Share of each family among the defects drawn."""

_SECOND_DEFECT: Final = 0.35
_REFERENCE_SIDE: Final = 256.0


def add_defects(
    image: Floats32,
    generator: Generator,
    *,
    donor: Floats32 | None = None,
    family: str | None = None,
) -> tuple[Floats32, Floats32]:
    """Return a copy of an image with one or two synthetic defects, and where they are.

    Parameters
    ----------
    image : ndarray of shape (H, W, C), float32 in [0, 1]
    donor : ndarray of shape (H, W, C), optional
        Another good image to take foreign texture from; the image itself by default.
    family : {"spot", "scratch", "patch", "change"}, optional
        Draw one defect of this family only.

    Returns
    -------
    corrupted : ndarray of shape (H, W, C), float32 in [0, 1]
    mask : ndarray of shape (H, W), float32 in [0, 1]
        As `visibility`.

    Raises
    ------
    ConfigError
        If the family is not one of `FAMILIES`.
    """
    if family is not None and family not in FAMILIES:
        raise ConfigError(
            f"family must be one of {', '.join(FAMILIES)}; got {family!r}. Leave it out for a mix."
        )
    donor = image if donor is None else donor
    corrupted = image.copy()
    for _ in range(1 if family else 1 + int(generator.random() < _SECOND_DEFECT)):
        name = family or str(generator.choice(list(FAMILIES), p=list(FAMILIES.values())))
        corrupted = _PAINTERS[name](corrupted, donor, generator)
    np.clip(corrupted, 0.0, 1.0, out=corrupted)
    return corrupted, visibility(image, corrupted)


def visibility(image: Floats32, corrupted: Floats32) -> Floats32:
    """Return how visible a change is, (H, W) float32 in [0, 1]; 1 = half the image's sd.

    Twice the smoothed absolute change of brightness or colour in units of that sd, clipped to 1.
    """
    change = np.abs(corrupted - image).max(axis=2)
    box = _support(change, margin=3)
    change[box] = ndimage.gaussian_filter(change[box], 0.7, truncate=3.0)
    visible: Floats32 = np.clip(2.0 * change / _spread(image), 0.0, 1.0).astype(np.float32)
    return visible


def cell_mask(mask: Floats32, cell: int = 8) -> Floats32:
    """Return the maximum of a mask (H, W) over square cells, shape (H / cell, W / cell)."""
    h, w = mask.shape
    cells: Floats32 = mask.reshape(h // cell, cell, w // cell, cell).max(axis=(1, 3))
    return cells


def soft_ellipse(
    shape: tuple[int, int],
    centre: tuple[float, float],
    radii: tuple[float, float],
    generator: Generator,
    *,
    softness: float = 1.0,
    wobble: float = 0.25,
) -> Floats32:
    """Draw a turned ellipse with an irregular outline and a soft edge, (H, W) in [0, 1].

    Centre and radii are in pixels, as is ``softness``, the width over which the mask falls from 1
    to 0. ``wobble`` is the amplitude of the outline's harmonics relative to the radius; 0 = a
    true ellipse. Angle and outline are drawn.
    """
    angle = generator.uniform(0.0, np.pi)
    phases = generator.uniform(0.0, 2.0 * np.pi, 3)
    reach = max(radii) * (1.0 + 1.1 * wobble) + softness + 1.0
    window = _window(shape, centre, reach)
    y = np.arange(shape[0], dtype=np.float32)[window[0], None] - centre[0]
    x = np.arange(shape[1], dtype=np.float32)[None, window[1]] - centre[1]
    u = (x * np.cos(angle) + y * np.sin(angle)) / radii[1]
    v = (y * np.cos(angle) - x * np.sin(angle)) / radii[0]
    theta = np.arctan2(v, u)
    outline = np.ones_like(theta)
    for harmonic, phase in zip((2, 3, 5), phases, strict=True):
        outline += wobble / harmonic * np.cos(harmonic * theta + phase)
    inside = (outline - np.hypot(u, v)) * min(radii) / max(softness, 1e-3)
    mask = np.zeros(shape, np.float32)
    mask[window] = np.clip(inside + 0.5, 0.0, 1.0)
    return mask


def soft_noise_mask(
    shape: tuple[int, int], sigma: float, share: float, generator: Generator
) -> Floats32:
    """Draw blobs (H, W) in [0, 1]: smooth noise, where it is highest, over a share of the area."""
    step = max(1, int(sigma // 3))
    coarse = (-(-shape[0] // step) + 1, -(-shape[1] // step) + 1)
    noise = ndimage.gaussian_filter(generator.standard_normal(coarse), sigma / step, mode="wrap")
    noise = ndimage.zoom(noise, step, order=1)[: shape[0], : shape[1]]
    level = np.quantile(noise, 1.0 - share)
    blobs: Floats32 = np.clip((noise - level) / (0.15 * noise.std()), 0.0, 1.0).astype(np.float32)
    return blobs


def _window(
    shape: tuple[int, int], centre: tuple[float, float], reach: float
) -> tuple[slice, slice]:
    """Return the part of an image that lies within ``reach`` of a point."""
    (top, left), (bottom, right) = (
        [int(np.clip(c + sign * reach, 0, n)) for c, n in zip(centre, shape, strict=True)]
        for sign in (-1, 1)
    )
    return slice(top, bottom + 1), slice(left, right + 1)


def _support(mask: Floats32, margin: int) -> tuple[slice, slice]:
    """Return the bounding box of a mask with a margin, so that little is computed in vain."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return slice(0, 1), slice(0, 1)
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _spread(image: Floats32) -> float:
    """Return the sd of brightness, at least two grey levels of 256."""
    return max(float(image.mean(axis=2).std()), 2.0 / 255.0)


def _scale(image: Floats32) -> float:
    return float(max(image.shape[:2]) / _REFERENCE_SIDE)


def _amplitude(image: Floats32, generator: Generator) -> float:
    """Draw a signed change of brightness, dark twice as often as bright."""
    sign = -1.0 if generator.random() < 2.0 / 3.0 else 1.0
    return float(sign * generator.uniform(0.6, 3.0) * _spread(image))


def _log_uniform(generator: Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _tint(channels: int, generator: Generator) -> Floats32:
    """Draw how strongly each channel follows a change: grey, or coloured one time in three."""
    if channels == 1 or generator.random() < 2.0 / 3.0:
        return np.ones(channels, np.float32)
    return generator.uniform(-0.3, 1.0, channels).astype(np.float32)


def _centre(image: Floats32, generator: Generator) -> tuple[float, float]:
    h, w = image.shape[:2]
    return float(generator.uniform(0.02, 0.98) * h), float(generator.uniform(0.02, 0.98) * w)


def _spot(image: Floats32, donor: Floats32, generator: Generator) -> Floats32:
    scale = _scale(image)
    radius = _log_uniform(generator, 2.0, 13.0) * scale
    radii = (radius, radius * float(generator.uniform(0.5, 1.0)))
    softness = float(generator.uniform(0.8, 2.5)) * scale
    centre = _centre(image, generator)
    mask = soft_ellipse(image.shape[:2], centre, radii, generator, softness=softness)
    change = _amplitude(image, generator) * _tint(image.shape[2], generator)
    return image + mask[:, :, None] * change


def _scratch(image: Floats32, donor: Floats32, generator: Generator) -> Floats32:
    """Draw a scratch or crack: a thin line whose heading drifts, smoothly or in jags."""
    scale = _scale(image)
    n_steps = int(_log_uniform(generator, 20.0, 220.0) * scale)
    drift = np.cumsum(generator.normal(0.0, generator.choice([0.01, 0.05, 0.15]), n_steps))
    jags = ndimage.gaussian_filter1d(generator.normal(0.0, 1.0, n_steps), 1.5)
    heading = generator.uniform(0.0, 2.0 * np.pi) + drift + generator.uniform(0.0, 1.5) * jags
    y0, x0 = _centre(image, generator)
    ys = np.round(y0 + np.cumsum(np.sin(heading))).astype(int)
    xs = np.round(x0 + np.cumsum(np.cos(heading))).astype(int)
    h, w = image.shape[:2]
    inside = (ys >= 0) & (ys < h) & (xs >= 0) & (xs < w)
    line = np.zeros((h, w), np.float32)
    line[ys[inside], xs[inside]] = 1.0
    sigma = _log_uniform(generator, 0.35, 1.6) * scale
    box = _support(line, margin=int(3 * sigma) + 1)
    line[box] = ndimage.gaussian_filter(line[box], sigma, truncate=3.0)
    line /= max(float(line.max()), 1e-6)
    change = _amplitude(image, generator) * _tint(image.shape[2], generator)
    return image + line[:, :, None] * change


def _region(image: Floats32, generator: Generator) -> Floats32:
    """Draw a soft region: blobs of noise, an ellipse or a rectangle, of all sizes."""
    shape, scale = image.shape[:2], _scale(image)
    kind, centre = generator.random(), _centre(image, generator)
    if kind < 0.4:
        reach = _log_uniform(generator, 25.0, 160.0) * scale
        window = soft_ellipse(shape, centre, (reach, reach), generator, softness=reach / 3.0)
        sigma = _log_uniform(generator, 3.0, 20.0) * scale
        return soft_noise_mask(shape, sigma, float(generator.uniform(0.1, 0.5)), generator) * window
    height, width = np.exp(generator.uniform(np.log(4.0), np.log(80.0), 2)) * scale
    softness = _log_uniform(generator, 1.0, 12.0) * scale
    if kind < 0.7:
        return soft_ellipse(shape, centre, (height, width), generator, softness=softness)
    return _soft_rectangle(shape, centre, (height, width), softness)


def _soft_rectangle(
    shape: tuple[int, int], centre: tuple[float, float], radii: tuple[float, float], softness: float
) -> Floats32:
    y = radii[0] - np.abs(np.arange(shape[0], dtype=np.float32) - centre[0])
    x = radii[1] - np.abs(np.arange(shape[1], dtype=np.float32) - centre[1])
    edges = (np.clip(0.5 + distance / (2.0 * softness), 0.0, 1.0) for distance in (y, x))
    rectangle: Floats32 = np.outer(*edges).astype(np.float32)
    return rectangle


def _patch(image: Floats32, donor: Floats32, generator: Generator) -> Floats32:
    mask = _region(image, generator)[:, :, None]
    source = donor if generator.random() < 0.5 else image
    foreign = np.rot90(source, int(generator.integers(0, 4)))
    if foreign.shape != image.shape:
        foreign = source[::-1, ::-1]
    shift = generator.integers(0, max(image.shape[:2]), 2)
    foreign = np.roll(foreign, shift, axis=(0, 1))
    if generator.random() < 0.7:
        weight = max(float(mask.sum()), 1e-6)
        foreign = foreign + ((image - foreign) * mask).sum(axis=(0, 1)) / weight
    alpha = float(generator.uniform(0.4, 1.0))
    pasted: Floats32 = (image + alpha * mask * (foreign - image)).astype(np.float32)
    return pasted


def _change(image: Floats32, donor: Floats32, generator: Generator) -> Floats32:
    full_mask = _region(image, generator)
    box = _support(full_mask, margin=8)
    mask, part = full_mask[box][:, :, None], image[box]
    kind = int(generator.integers(0, 4))
    if kind == 0:
        other = part + 0.6 * _amplitude(image, generator) * _tint(image.shape[2], generator)
    elif kind == 1:
        mean = (part * mask).sum(axis=(0, 1)) / max(float(mask.sum()), 1e-6)
        factor = generator.choice([generator.uniform(0.1, 0.6), generator.uniform(1.6, 3.0)])
        other = mean + factor * (part - mean)
    elif kind == 2:
        sigma = float(generator.uniform(1.2, 4.0)) * _scale(image)
        other = ndimage.gaussian_filter(part, (sigma, sigma, 0.0), truncate=3.0)
    else:
        noise = generator.standard_normal((*part.shape[:2], 1), np.float32)
        noise = ndimage.gaussian_filter(noise, (s := float(generator.uniform(0.0, 1.2)), s, 0.0))
        noise /= max(float(noise.std()), 1e-6)
        other = part + float(generator.uniform(0.3, 1.2)) * _spread(image) * noise
    changed = image.copy()
    changed[box] += mask * (other - part)
    return changed


_PAINTERS: Final[dict[str, Callable[[Floats32, Floats32, Generator], Floats32]]] = {
    "spot": _spot,
    "scratch": _scratch,
    "patch": _patch,
    "change": _change,
}
