"""A heatmap drawn over its picture, on one fixed scale for all pictures of a model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["render_overlay"]

LONG_SIDE = 512  # pixels of the longer side of what is written
OPACITY = 0.65
COLOURS = "inferno"
OUTLINE = np.array([0, 255, 255], dtype=np.uint8)  # a colour that the scale does not contain


def render_overlay(
    picture: NDArray[Any], heatmap: NDArray[np.float32], *, high: float, outline: float
) -> Image.Image:
    """Draw a heatmap over a picture.

    Parameters
    ----------
    picture : ndarray of shape (H, W) or (H, W, 3), uint8 or uint16
    heatmap : ndarray of shape (h, w), float32, higher = more anomalous
        Stretched over the picture.
    high : float
        Value of the brightest colour; 0 is left transparent. The same for all pictures.
    outline : float
        Regions above this value get an outline.

    Returns
    -------
    image : PIL.Image of mode RGB
        At most 512 pixels on its longer side.
    """
    base = _shown(picture)
    size = (base.shape[1], base.shape[0])
    heat = np.asarray(
        Image.fromarray(heatmap.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    )
    level = np.clip(np.nan_to_num(heat, nan=high, posinf=high) / high, 0.0, 1.0)  # (H, W)
    colours = _colour_table()[np.rint(level * 255).astype(np.uint8)]  # (H, W, 3)
    weight = (OPACITY * level)[..., None]
    blended = np.rint(base * (1.0 - weight) + colours * weight).astype(np.uint8)
    blended[_edges(heat > outline)] = OUTLINE
    return Image.fromarray(blended)


def _shown(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the picture as RGB of 8 bits, small enough to look at."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    image = Image.fromarray(picture).convert("RGB")
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
    return np.asarray(image)


@lru_cache(maxsize=1)
def _colour_table() -> NDArray[np.float64]:
    from matplotlib import colormaps

    return np.asarray(colormaps[COLOURS](np.arange(256))[:, :3] * 255.0)


def _edges(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the inner border of regions, one pixel wide; the picture's border is none."""
    padded = np.pad(inside, 1, mode="edge")
    core = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core
