"""Where an image lies, and what of it counts: found in training, done to every image after it.

The background is taken to be uniform where the border of nearly every good image has one
brightness and no texture, and nearly the same brightness in all of them. The foreground is all that
differs from it in at least one good image in twenty, without holes, and a rim around it. One
mask serves all images: where a part is missing, its place is still looked at.

Outside, each image is painted with the brightness of its own border, before a model sees it, and
heat is set to 0. What lies on the background, dust or a foreign body beside the part, is then not
seen at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import ndimage

from vae_anomaly.arrays import AnyArray, Bools, Floats32
from vae_anomaly.detectors.images.place.bit_depth import BitDepth
from vae_anomaly.detectors.images.place.registration import Refinement, Registration, Shift

_FRAME: Final = 0.03  # width of the border that must be background, as a share of the side
_EVEN: Final = 0.04  # deviation from the border's median that counts as background
_TEXTURE: Final = 0.015  # mean step between neighbours in the border
_CLEAN: Final = 0.95  # share of a border, and of the images, that must be so
_AGREE: Final = 0.12  # deviation of a border's brightness from that of the others
_DISTINCT: Final = 3.0  # contrast of the foreground, in units of _EVEN
_SEEN: Final = 0.05  # share of the images in which a pixel must show the part
_SHARES: Final = (0.02, 0.95)  # of the image, for the foreground
_AROUND: Final = 1 / 16  # width of the rim, as a share of the side


@dataclass(frozen=True)
class Placing:
    """What is done to an image before a network sees it.

    Parameters
    ----------
    depth : BitDepth
        What is white; asked before an image is resized.
    registration : Registration, optional
        Moves each image to a reference.
    refinement : Refinement, optional
        Looks again, at full resolution, at the shift of a large image.
    foreground : Foreground, optional
        Paints over the background after that.
    """

    depth: BitDepth = field(default_factory=BitDepth)
    registration: Registration | None = None
    refinement: Refinement | None = None
    foreground: Foreground | None = None

    def __call__(self, image: Floats32) -> tuple[Floats32, Shift]:
        """Return a resized image (S, S, C) where the others lie, painted, and how it was moved."""
        shift = (0, 0)
        if self.registration is not None:
            image, shift = self.registration(image)
        return image if self.foreground is None else self.foreground(image), shift

    def masked(self, maps: Floats32) -> Floats32:
        """Return maps (N, G, G) with 0 outside of the foreground."""
        if self.foreground is None:
            return maps
        return np.where(self.foreground.on(maps.shape[1:]), maps, np.float32(0.0))


@dataclass(frozen=True)
class Foreground:
    """The pixels that count, by a mask (S, S)."""

    mask: Bools

    def __call__(self, image: Floats32) -> Floats32:
        """Paint an image (S, S, C) with the median of its own border outside of the mask."""
        level = np.median(_border(image), axis=0).astype(np.float32)
        return np.where(self.mask[..., None], image, level)

    @property
    def share(self) -> float:
        """Share of the image that counts."""
        return float(self.mask.mean())

    def on(self, shape: tuple[int, int]) -> Bools:
        """Return the cells that show any of the mask, on a grid of any height and width."""
        down, right = (np.linspace(0, len(self.mask), n + 1).astype(int)[:-1] for n in shape)
        rows = np.logical_or.reduceat(self.mask, down, axis=0)
        return np.asarray(np.logical_or.reduceat(rows, right, axis=1))

    def paint(self, pixels: AnyArray) -> AnyArray:
        """Paint an image of any size and type (H, W) or (H, W, C) as a call does a reduced one."""
        height, width = pixels.shape[:2]
        part = self.on((height, width)).reshape(height, width, *[1] * (pixels.ndim - 2))
        level = np.median(_border(pixels), axis=0).astype(pixels.dtype)
        return np.where(part, pixels, level)


def find_foreground(images: Floats32) -> Foreground | None:
    """Find the pixels that show the part, in good images (n, S, S, C), float32 in [0, 1].

    They are registered if that is done. None where the background is not clearly uniform, or
    hardly anything is background.
    """
    levels = np.stack([np.median(_border(image), axis=0) for image in images])  # (n, C)
    common = np.median(levels, axis=0)
    uniform = [
        _is_uniform(image, level) and bool(np.abs(level - common).max() <= _AGREE)
        for image, level in zip(images, levels, strict=True)
    ]
    if np.mean(uniform) < _CLEAN:
        return None
    different = np.abs(images - levels[:, None, None]).max(axis=3)  # (n, S, S)
    parts = np.stack([ndimage.binary_opening(d > _EVEN, iterations=1) for d in different])
    if not parts.any() or np.median(different[parts]) < _DISTINCT * _EVEN:
        return None
    mask = ndimage.binary_fill_holes(parts.mean(axis=0) >= _SEEN)
    around = max(1, round(_AROUND * len(mask)))
    mask = ndimage.binary_dilation(mask, np.ones((3, 3), bool), iterations=around)
    return Foreground(mask) if _SHARES[0] <= mask.mean() <= _SHARES[1] else None


def _border(image: AnyArray) -> AnyArray:
    """Return the pixels of the border, (P, C)."""
    width = max(2, round(_FRAME * len(image)))
    inner = np.ones(image.shape[:2], bool)
    inner[width:-width, width:-width] = False
    return np.asarray(image[inner])


def _is_uniform(image: Floats32, level: Floats32) -> bool:
    """Tell whether a border has one brightness and no texture."""
    near = np.abs(_border(image) - level).max(axis=1) <= _EVEN
    steps = np.maximum(
        np.abs(np.diff(image, axis=0, append=image[-1:])),
        np.abs(np.diff(image, axis=1, append=image[:, -1:])),
    )
    return bool(near.mean() >= _CLEAN and np.median(_border(steps)) <= _TEXTURE)
