"""Bring images to one size and the channels of a model, alike on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from vae_anomaly.arrays import AnyArray, Floats32, Indices
from vae_anomaly.errors import ConfigError, DataError

RESIZER: Final = "area-bilinear/1"
"""Name and version of what `resize_image` does; part of every model that was trained with it."""

_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601

_BLOCK: Final = 32  # rows that are made at once
_STRIP: Final = 2**16  # values of an old line that are read for it at once

Weights = tuple[Indices, Floats32]


def resize_image(array: npt.ArrayLike, size: tuple[int, int]) -> Floats32:
    """Resize pixels to (height, width) and scale them to [0, 1].

    Each axis that shrinks is averaged over the exact area of every new pixel; each that grows is
    interpolated linearly between pixel centres. Plain float32 arithmetic in a fixed order: the
    result does not depend on machine, thread count or the version of an imaging library.

    Parameters
    ----------
    array : ndarray of shape (H, W) or (H, W, C), uint8, uint16 or floating point in [0, 1]
    size : (height, width), pixels

    Returns
    -------
    ndarray of shape (h, w) or (h, w, C), float32 in [0, 1]

    Raises
    ------
    DataError
        If the array has no pixels, another shape or type, or values that are not in [0, 1].
    ConfigError
        If the size is not positive.
    """
    if min(size) < 1:
        raise ConfigError(f"An image size must be at least 1 x 1. Got {size[0]} x {size[1]}.")
    pixels = _checked(np.asarray(array))
    if pixels.shape[:2] == size:
        return np.ascontiguousarray(_to_unit(pixels))
    deep = np.atleast_3d(pixels)
    height, width, channels = deep.shape
    lines = deep.reshape(height, -1)
    resized = np.empty((*size, channels), np.float32)
    for columns in _blocks(size[1], _STRIP * size[1] // (width * channels)):
        places, shares = _weights(width, size[1], columns)
        first, last = int(places.min()), int(places.max()) + 1
        strip, along = lines[:, first * channels : last * channels], (places - first, shares)
        for rows in _blocks(size[0], _BLOCK):
            down = _weights(height, size[0], rows)
            resized[rows, columns] = _resize_block(strip, channels, down, along)
    return resized.reshape(resized.shape[: pixels.ndim])


def prepare_image(array: npt.ArrayLike, size: tuple[int, int], channels: int) -> Floats32:
    """Resize pixels and give them the channels of a model: (h, w, channels), float32 in [0, 1].

    Takes what `resize_image` takes, for 1 or 3 channels. Colour becomes grey by its luma (ITU-R
    BT.601); grey is repeated for colour.
    """
    if channels not in {1, 3}:
        raise ConfigError(f"A model sees 1 or 3 channels. Got {channels}.")
    _check_channels(np.shape(array))
    resized = np.atleast_3d(resize_image(array, size))
    if channels == resized.shape[2]:
        return resized
    if channels == 3:
        return np.repeat(resized, 3, axis=2)
    red, green, blue = (resized[..., c] * _LUMA[c] for c in range(3))
    grey: Floats32 = np.clip(red + green + blue, 0.0, 1.0)[..., None]
    return grey


def _check_channels(shape: tuple[int, ...]) -> None:
    """Refuse what is neither grey nor RGB, with the way to make it so."""
    if len(shape) != 3 or shape[2] in {1, 3}:
        return
    remedy = "Split the channels into images of their own."
    if shape[0] in {1, 3}:
        remedy = "Its channels stand first: give np.moveaxis(image, 0, -1)."
    elif shape[2] == 4:
        remedy = "Give image[..., :3], or lay it over a ground where it is transparent."
    raise DataError(
        f"Images have shape (H, W), (H, W, 1) or (H, W, 3). Got {tuple(shape)}. {remedy}"
    )


def _checked(array: AnyArray) -> AnyArray:
    """Check the pixels' shape, type and values."""
    if array.ndim not in {2, 3} or array.size == 0:
        raise DataError(
            f"An image has shape (height, width) or (height, width, channels). Got {array.shape}."
        )
    if array.dtype in {np.dtype(t) for t in (np.bool_, np.uint8, np.uint16)}:
        return array
    if array.dtype.kind == "f" and bool(np.all((array >= 0.0) & (array <= 1.0))):
        return array
    raise DataError(
        f"Pixels are uint8, uint16, or floating point in [0, 1]. Got {array.dtype}"
        f"{_range_of(array)}. {_remedy(array)}"
    )


def _to_unit(pixels: AnyArray) -> Floats32:
    """Scale checked pixels to [0, 1]."""
    unit = pixels.astype(np.float32)
    if pixels.dtype.kind == "u":
        unit /= np.float32(np.iinfo(pixels.dtype).max)
    return unit


def _range_of(array: AnyArray) -> str:
    if array.dtype.kind not in "iuf":
        return ""
    return (
        f" from {array.min()} to {array.max()}" if np.isfinite(array).all() else " with NaN or inf"
    )


def _remedy(array: AnyArray) -> str:
    """Say how pixels of another type or range become what is read."""
    known = array.dtype.kind in "iuf" and bool(np.isfinite(array).all()) and array.min() >= 0
    if not known or array.max() > np.iinfo(np.uint16).max:
        return "Convert them, with one scale for all images."
    small = array.max() <= np.iinfo(np.uint8).max
    if array.dtype.kind == "f":
        white = "255" if small else "65535, or by the white of the camera"
        return f"Divide them by what is white, the same in all images: by {white}."
    bits = "uint8 if 255 is white in all images, else to uint16" if small else "uint16"
    return f"Convert them to {bits}."


def _blocks(n: int, most: int) -> Iterator[slice]:
    """Cut 0 ... n into pieces of at most so many, but at least one."""
    step = max(1, most)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def _resize_block(strip: AnyArray, channels: int, down: Weights, along: Weights) -> Floats32:
    """Return some rows and columns (b, v, C) of the resized image, from a strip of it (H, V * C).

    Few at a time, for what lies in between then stays in the cache; whole images in float32 cost
    more time in fresh memory than in arithmetic, and lines of any length cost any memory.
    """
    width = strip.shape[1] // channels
    rows = _weighted_sum(strip, down).reshape(-1, width, channels)
    turned = np.ascontiguousarray(rows.transpose(1, 2, 0))  # (V, C, b)
    columns = _weighted_sum(turned.reshape(width, -1), along)
    return columns.reshape(-1, channels, len(rows)).transpose(2, 0, 1)


def _weighted_sum(lines: AnyArray, weights: Weights) -> Floats32:
    """Return new lines (b, m) as weighted sums of old ones (n, m), in a fixed order, in [0, 1]."""
    places, shares = weights
    total = np.zeros((len(places), lines.shape[1]), np.float32)
    for k in range(places.shape[1]):
        part = _to_unit(lines[places[:, k]])
        total += np.multiply(part, shares[:, k, None], out=part)
    return np.clip(total, 0.0, 1.0, out=total)


def _weights(n: int, size: int, block: slice) -> Weights:
    """Return which of n old pixels make each new one of a block, and the share of each: (b, K)."""
    of = _area_weights if size <= n else _linear_weights
    return of(n, size, block)


def _area_weights(n: int, size: int, block: slice) -> Weights:
    """Return which of n old pixels each new one covers, and the share of each: (b, K)."""
    edges = np.arange(block.start, block.stop + 1, dtype=np.float64) * n / size
    first = np.floor(edges[:-1]).astype(np.intp)
    places = first[:, None] + np.arange(int(np.ceil(n / size)) + 1)
    covered = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    weights = np.clip(covered, 0.0, None) * size / n
    return np.minimum(places, n - 1), weights.astype(np.float32)


def _linear_weights(n: int, size: int, block: slice) -> Weights:
    """Return the two old pixels between whose centres each new one lies: (b, 2)."""
    centres = np.clip((np.arange(block.start, block.stop) + 0.5) * n / size - 0.5, 0, n - 1)
    first = np.minimum(np.floor(centres), max(n - 2, 0)).astype(np.intp)
    right = centres - first
    places = np.stack([first, np.minimum(first + 1, n - 1)], axis=1)
    return places, np.stack([1 - right, right], axis=1).astype(np.float32)
