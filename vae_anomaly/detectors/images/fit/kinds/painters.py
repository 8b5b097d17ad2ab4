"""Painters of the kinds: each changes a window (h, w, C) of an image around its centre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.fit.defects import soft_ellipse
from vae_anomaly.detectors.images.fit.kinds.contrast import with_room

SCRATCH_WIDTH: Final = 1.5
"""Pixels over which a scratch has more than half of its contrast."""

_FLAT_NOISE: Final = 0.5  # noise of a flat surface, in that of its surroundings
_LEAST_BLUR: Final = 6.0 / 255.0  # mean change of brightness from which a blur is seen


@dataclass(frozen=True)
class Window:
    """Where a painter works.

    Parameters
    ----------
    pixels : ndarray of shape (h, w, C), float32 in [0, 1]
    centre : (float, float), pixels
    size : int, pixels
        Length of a scratch, diameter of all else.
    contrast, noise : float
        Brightness by which the defect differs, and sd of the fine texture here.
    image : ndarray of shape (H, W, C)
        All of which it is a window.
    """

    pixels: Floats32
    centre: tuple[float, float]
    size: int
    contrast: float
    noise: float
    image: Floats32

    def ellipse(
        self, generator: Generator, *, longer: float = 1.0, softness: float = 1.0
    ) -> Floats32:
        """Draw a wobbly spot (h, w) of this size, ``longer`` one way than the other."""
        radius = self.size / 2.0
        return soft_ellipse(
            self.pixels.shape[:2],
            self.centre,
            (radius / longer, radius),
            generator,
            softness=softness,
            wobble=0.15,
        )

    @property
    def behind(self) -> Floats32:
        """Median colour of the image's border, (C,): what is seen where a piece is missing."""
        image = self.image
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        return np.asarray(np.median(border, axis=0), np.float32)

    def level(self, mask: Floats32) -> Floats32:
        """Return the mean colour under a mask, (C,)."""
        mean = np.tensordot(mask, self.pixels, axes=2) / max(float(mask.sum()), 1e-6)
        return np.asarray(mean, np.float32)

    def flat(self, colour: Floats32, generator: Generator) -> Floats32:
        """Return a surface (h, w, C) of one colour, with a little noise."""
        noise = generator.standard_normal((*self.pixels.shape[:2], 1), np.float32)
        return colour + np.float32(_FLAT_NOISE * self.noise) * noise

    def covered(self, mask: Floats32, surface: Floats32) -> Floats32:
        """Return the window with a surface where the mask is."""
        return self.pixels + mask[:, :, None] * (surface - self.pixels)


def paint_hole(window: Window, generator: Generator) -> Floats32:
    """Paint a sharp dark spot without texture; a bright one where all is dark already."""
    mask = window.ellipse(generator, longer=generator.uniform(1.0, 1.4))
    level = window.level(mask)
    change = with_room(float(level.mean()), window.contrast, -1.0)
    return window.covered(mask, window.flat(level + np.float32(change), generator))


def paint_scratch(window: Window, generator: Generator) -> Floats32:
    """Paint a thin line, slightly bent, dark or bright."""
    mask = _line(window, generator)
    level = float(window.level(mask).mean())
    change = with_room(level, window.contrast, _sign(generator))
    return window.pixels + mask[:, :, None] * np.float32(change)


def paint_stain(window: Window, generator: Generator) -> Floats32:
    """Paint a soft spot through which the texture shows, dark or bright."""
    softness = max(1.0, window.size / 4.0)
    mask = window.ellipse(generator, longer=generator.uniform(1.0, 1.6), softness=softness)
    level = float(window.level(mask).mean())
    change = with_room(level, window.contrast, _sign(generator))
    return window.pixels + mask[:, :, None] * np.float32(change)


def paint_missing(window: Window, generator: Generator) -> Floats32:
    """Paint what lies behind the part into a piece with a straight edge."""
    mask = window.ellipse(generator, longer=generator.uniform(1.0, 1.4)) * _half_plane(
        window, generator
    )
    level, behind = window.level(mask), window.behind
    if abs(float((behind - level).mean())) < window.contrast:
        behind = level + np.float32(with_room(float(level.mean()), window.contrast, -1.0))
    return window.covered(mask, window.flat(behind, generator))


def paint_contamination(window: Window, generator: Generator) -> Floats32:
    """Paint a foreign body with a texture, and on colour images a hue, of its own."""
    mask = window.ellipse(generator, longer=generator.uniform(1.0, 2.5))
    level, shape = window.level(mask), window.pixels.shape
    change = with_room(float(level.mean()), window.contrast, _sign(generator))
    grain = ndimage.gaussian_filter(generator.standard_normal(shape[:2], np.float32), 0.7)
    grain *= 0.4 * window.contrast / max(float(grain.std()), 1e-6)
    colour = (
        level + np.float32(change) + np.float32(0.5 * window.contrast) * hue(shape[2], generator)
    )
    return window.covered(mask, colour + grain[:, :, None])


def paint_blur(window: Window, generator: Generator) -> Floats32 | None:
    """Blur the texture; None where there is none to blur."""
    sigma = float(np.clip(window.size / 6.0, 1.2, 4.0))
    mask = window.ellipse(generator, softness=max(1.0, window.size / 6.0))
    smooth = ndimage.gaussian_filter(window.pixels, (sigma, sigma, 0.0), truncate=3.0)
    blurred = window.covered(mask, smooth)
    change = np.abs(blurred - window.pixels).mean(axis=2).sum() / max(float(mask.sum()), 1e-6)
    return blurred if change >= _LEAST_BLUR else None


def paint_tint(window: Window, generator: Generator) -> Floats32 | None:
    """Change the colour, not the brightness; None of grey images."""
    channels = window.pixels.shape[2]
    if channels == 1:
        return None
    softness = max(1.0, window.size / 4.0)
    mask = window.ellipse(generator, longer=generator.uniform(1.0, 1.6), softness=softness)
    change = np.float32(window.contrast) * hue(channels, generator)
    return window.pixels + mask[:, :, None] * change


def hue(channels: int, generator: Generator) -> Floats32:
    """Draw a change of colour (C,) that leaves the mean of the channels; the largest is 1."""
    if channels == 1:
        return np.zeros(1, np.float32)
    drawn = generator.standard_normal(channels).astype(np.float32)
    drawn -= drawn.mean()
    return np.asarray(drawn / max(float(np.abs(drawn).max()), 1e-6), np.float32)


def _sign(generator: Generator) -> float:
    return -1.0 if generator.random() < 0.5 else 1.0


def _turned(window: Window, generator: Generator) -> tuple[Floats32, Floats32]:
    """Return coordinates (h, w) along and across a line through the centre, in pixels."""
    h, w = window.pixels.shape[:2]
    angle = generator.uniform(0.0, np.pi)
    y = np.arange(h, dtype=np.float32)[:, None] - np.float32(window.centre[0])
    x = np.arange(w, dtype=np.float32)[None, :] - np.float32(window.centre[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _line(window: Window, generator: Generator) -> Floats32:
    along, across = _turned(window, generator)
    bend = np.float32(generator.uniform(-0.4, 0.4) / window.size)
    off = across - bend * np.square(along)
    sigma = SCRATCH_WIDTH / 2.355
    ends = np.clip(window.size / 2.0 - np.abs(along) + 0.5, 0.0, 1.0)
    return np.asarray(ends * np.exp(-0.5 * np.square(off / sigma)), np.float32)


def _half_plane(window: Window, generator: Generator) -> Floats32:
    _, across = _turned(window, generator)
    return np.asarray(np.clip(across + window.size / 6.0 + 0.5, 0.0, 1.0), np.float32)


Painter = Callable[[Window, Generator], Floats32 | None]
