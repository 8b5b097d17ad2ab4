"""A heat map drawn over its picture, on the one fixed scale of all pictures, and its mask."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vae_anomaly.arrays import AnyArray, Bools, Bytes, Floats32
from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, enlarge, render

LONG_SIDE = 512  # pixels of the longer side of what is written
OPACITY = 0.65
OUTLINE = np.array([0, 255, 255], dtype=np.uint8)  # a colour that the scale does not contain


def render_overlay(picture: AnyArray, heat: Floats32, *, level: float) -> Image.Image:
    """Draw a heat map over a picture.

    Parameters
    ----------
    picture : ndarray of shape (H, W) or (H, W, 3), uint8 or uint16
    heat : ndarray of shape (h, w), float32, in sd of held-out normals
        Stretched over the picture; from 0 (transparent) to 10 on the colour scale.
    level : float
        Regions above it are outlined.

    Returns
    -------
    image : PIL.Image of mode RGB
        At most 512 pixels on its longer side.
    """
    base = _shown(picture)
    large = enlarge(heat[None], (base.shape[0], base.shape[1]))[0]  # (H, W)
    low, high = HEAT_RANGE
    weight = OPACITY * np.clip((large - low) / (high - low), 0.0, 1.0)[..., None]
    blended = np.rint(base * (1.0 - weight) + render(large) * weight).astype(np.uint8)
    blended[_edges(large > level)] = OUTLINE
    return Image.fromarray(blended)


def render_mask(picture: AnyArray, heat: Floats32, *, level: float) -> Image.Image:
    """Draw where a heat map is too hot, for other programs to read.

    Parameters
    ----------
    picture, heat, level
        As `render_overlay`.

    Returns
    -------
    image : PIL.Image of mode L
        Of the picture's own size: 255 where the heat is above the level, 0 elsewhere.
    """
    large = enlarge(heat[None], (picture.shape[0], picture.shape[1]))[0]
    return Image.fromarray((large > level).astype(np.uint8) * np.uint8(255))


def _shown(picture: AnyArray) -> Bytes:
    """Return the picture as RGB of 8 bits, small enough to look at."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    image = Image.fromarray(picture).convert("RGB")
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def _edges(inside: Bools) -> Bools:
    """Return the inner border of regions, one pixel wide; the picture's border is none."""
    padded = np.pad(inside, 1, mode="edge")
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core
