"""Tell the defective pixels of a mask from its values: levels are areas, all else is their edge.

A level is a value that fills an area: one pixel and its eight neighbours. JPEG noise, soft edges
and resizing make values in between, but hardly areas of them. Levels that lie close together are
one with its noise; the lowest is the ground. Defective is what is above half the way from the
ground to the next level.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Bytes, Indices
from vae_anomaly.errors import ImageError

_SMALL: Final = 64  # values below, without loss, are numbers of classes
_GAP: Final = 16 / 255  # of the scale: levels that lie closer are one level and its noise
_WIDE: Final = 40 / 255  # of the scale: a level with more noise than this is a photo's
_LEAST_FLAT: Final = 0.5  # share of flat pixels; of photos measured at most 0.32, of masks 0.9 up
_EDGES: Final = 0.25  # share of pixels that may be between the levels
_FAINT: Final = 48 / 255  # of the scale: what is nowhere flat and less bright may be noise
_SAME: Final = 8  # of 255: colours that differ less are one colour
_OPAQUE: Final = 128


def defective_pixels(values: AnyArray, *, lossy: bool = False) -> Bools:
    """Return which pixels of a mask (H, W) of whole numbers, 0 ... 65535, are defective.

    Raises `ImageError` (mask_values, mask_full) where that is not clear; ``lossy`` is said of JPEG.

    Examples
    --------
    >>> defective_pixels(np.array([[0, 0, 255], [0, 255, 255]])).tolist()
    [[False, False, True], [False, True, True]]
    """
    counts = np.bincount(values.ravel())
    present = np.flatnonzero(counts)
    low, top = int(present[0]), int(present[-1])
    if low == top:
        if top:
            raise ImageError(f"it is {top} all over.", code="mask_full")
        return np.zeros(values.shape, np.bool_)
    if len(present) == 2 and not lossy:
        return np.asarray(values > low, np.bool_)
    flat = _flat(values)
    if flat.mean() < _LEAST_FLAT:
        raise ImageError(f"its values, {low} to {top}, vary as in a photo.", code="mask_values")
    if top < _SMALL and not lossy:
        return np.asarray(values > low, np.bool_)
    levels = np.unique(values[flat]).astype(np.intp)
    return np.asarray(values > _half_way(values, levels, lossy=lossy), np.bool_)


def _half_way(values: AnyArray, levels: Indices, *, lossy: bool) -> float:
    """Return the value between the ground and the next level."""
    low, top = int(values.min()), int(values.max())
    scale = max(255, top)
    groups = np.split(levels, np.flatnonzero(np.diff(levels) > _GAP * scale) + 1)
    thin = len(groups) == 1 and levels[0] - low <= _GAP * scale
    if thin and top - levels[-1] >= _FAINT * scale:
        groups.append(np.array([top]))  # lines and dots that are nowhere flat
    if (
        len(groups) == 1
        or any(np.ptp(group) > _WIDE * scale for group in groups[:2])
        or _off_levels(values, levels, _GAP * scale) > _EDGES
    ):
        raise ImageError(f"its values, {low} to {top}, have no clear levels.", code="mask_values")
    ground, above = groups[:2]
    if len(ground) > 1 and len(above) == 1 and not thin and not lossy:
        raise ImageError(
            f"its levels are {', '.join(map(str, levels[:5]))}: the lower ones can be noise or "
            "numbers of classes.",
            code="mask_values",
        )
    return (int(ground[-1]) + int(above[0])) / 2.0


def _flat(values: AnyArray) -> Bools:
    """Return which pixels have the value of their eight neighbours; those at the border as well."""
    flat = np.ones(values.shape, np.bool_)
    wide = np.pad(values, 1, mode="edge")
    height, width = values.shape
    for down in range(3):
        for right in range(3):
            flat &= wide[down : down + height, right : right + width] == values
    return flat


def _off_levels(values: AnyArray, levels: Indices, near: float) -> float:
    """Return the share of pixels whose value is near no level."""
    counts = np.bincount(values.ravel())
    steps = np.arange(len(counts))
    above = np.clip(np.searchsorted(levels, steps), 0, len(levels) - 1)
    below = np.maximum(above - 1, 0)
    distance = np.minimum(np.abs(levels[above] - steps), np.abs(levels[below] - steps))
    return float(counts[distance > near].sum() / values.size)


def defective_by_alpha(rgba: Bytes, *, lossy: bool = False) -> Bools:
    """Return which pixels of a mask (H, W, 4) are defective, by transparency or by colour.

    By transparency where one colour was drawn, or none that is black; by colour where transparency
    is the same all over. Raises `ImageError` as `defective_pixels`, and with the code
    mask_transparency where the two contradict each other.
    """
    brightness, alpha = rgba[..., :3].max(axis=2), rgba[..., 3]
    if alpha.min() == alpha.max():
        if not alpha.any():
            return np.zeros(alpha.shape, np.bool_)  # a layer on which nothing was drawn
        return defective_pixels(brightness, lossy=lossy)
    by_alpha = defective_pixels(alpha, lossy=lossy)
    drawn = rgba[by_alpha][:, :3]
    one_colour = int(np.ptp(drawn.astype(np.int16), axis=0).max()) <= _SAME
    if one_colour or int(drawn.max(axis=1).min()) >= _OPAQUE:
        return by_alpha
    if np.array_equal(defective_pixels(np.where(by_alpha, brightness, 0), lossy=lossy), by_alpha):
        return by_alpha
    raise ImageError("what is black on it is not what is transparent.", code="mask_transparency")
