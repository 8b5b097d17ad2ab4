"""Draw the heatmap of an image: laid over it for people, as a mask for other programs."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from vae_anomaly.arrays import AnyArray, Bools, Floats32
from vae_anomaly.data.images.decode import Pixels
from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, render, resize_heat

LONG_SIDE: Final = 512  # pixels of the longer side of an overlay
OPACITY: Final = 0.65
_OUTLINE: Final = np.array([0, 255, 255], dtype=np.uint8)  # no colour of the scale


def render_overlay(image: Pixels, heat: Floats32, *, level: float) -> Image.Image:
    """Draw a heatmap (h, w), in sd of held-out normals, over its image, at most 512 pixels long.

    The colour scale, from 0 (transparent) to 10, is the same for all images; regions above the
    level are outlined: those of `render_mask`, each of them however small.
    """
    base = np.asarray(shrunk(image, LONG_SIDE))
    full = resize_heat(heat[None], (image.shape[0], image.shape[1]))
    large = resize_heat(full, (base.shape[0], base.shape[1]))[0]  # (H, W)
    low, high = HEAT_RANGE
    weight = OPACITY * np.clip((large - low) / (high - low), 0.0, 1.0)[..., None]
    blended = np.rint(base * (1.0 - weight) + render(large) * weight).astype(np.uint8)
    blended[_edges(large > level)] = _OUTLINE
    return Image.fromarray(blended)


def render_mask(image: Pixels, heat: Floats32, *, level: float) -> Image.Image:
    """Draw where a heatmap is too hot, for other programs: 255 there, 0 elsewhere.

    Of one channel and the image's own size.
    """
    large = resize_heat(heat[None], (image.shape[0], image.shape[1]))[0]
    return Image.fromarray((large > level).astype(np.uint8) * np.uint8(255))


def shrunk(image: AnyArray, side: int) -> Image.Image:
    """Return an image as RGB of 8 bits, its longer side at most ``side`` pixels."""
    small = Image.fromarray(_in_8_bits(image))
    small.thumbnail((side, side), Image.Resampling.BOX)
    return small.convert("RGB")


def _in_8_bits(image: AnyArray) -> AnyArray:
    if image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    return image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)


def _edges(inside: Bools) -> Bools:
    """Return the inner border of regions, one pixel wide; the image's border is none."""
    padded = np.pad(inside, 1, mode="edge")
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core
