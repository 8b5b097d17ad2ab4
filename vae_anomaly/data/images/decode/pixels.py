"""From an opened image of any mode to grey or RGB pixels, whose type says what white is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from vae_anomaly.arrays import AnyArray, Bytes, Floats32
from vae_anomaly.data.images.decode.tiff import TiffKind
from vae_anomaly.errors import ImageError

_DEEP_MODES: Final = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_FULL: Final = 65535
_FRACTION: Final = 16.0  # floats below are no counts, unless they are whole numbers
_BLEND_ROWS: Final = 256  # rows that are laid over white at once

Pixels = Bytes | npt.NDArray[np.uint16] | Floats32
"""Decoded pixels (H, W) or (H, W, 3): white is 255, not told, or 1.0."""


def pixels_of(name: str, image: Image.Image) -> Pixels:
    """Convert a loaded image of any mode to grey or RGB pixels, as it lies in its file.

    Raises `ImageError`, with the ``name``, where the values have no known scale.
    """
    kind = _tiff_kind(image)
    if kind is not None and kind.number == 2 and min(kind.bits) <= 8:
        raise ImageError(
            f"{name} holds {kind.words} (TIFF, SampleFormat 2), whose black and white are not "
            "known. Save it with unsigned pixels.",
            code="unsupported",
        )
    if kind is not None and kind.is_misread:
        raise ImageError(
            f"{name} is a TIFF of {kind.words}; this kind is not supported. Save it with the bands "
            "of a pixel together (PlanarConfiguration 1), or as RGB of 8 bits.",
            code="unsupported",
        )
    if image.mode in _DEEP_MODES:
        return _deep_grey(name, image, kind)
    if image.mode == "LAB":
        return np.asarray(_lab_to_rgb(image))
    if image.mode in {"1", "L", "RGB"} and "transparency" not in image.info:
        return np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.has_transparency_data:
        return _over_white(image)
    return _without_colour_if_grey(image.convert("RGB"), image.mode)


def _tiff_kind(image: Image.Image) -> TiffKind | None:
    tags: Mapping[int, Any] | None = getattr(image, "tag_v2", None)
    return None if tags is None or image.format != "TIFF" else TiffKind.of(tags)


def _deep_grey(name: str, image: Image.Image, kind: TiffKind | None) -> Pixels:
    """Return more than 8 bits of grey: uint16 where the file does not tell its white, or float32.

    Floating-point pixels in [0, 1] are taken for shares of white, others for counts if they can be.
    By the standard, 65535 is black where white is zero.
    """
    values, white_is_zero = np.asarray(image), kind is not None and kind.white_is_zero
    if kind is not None and kind.number == 1 and values.dtype == np.int32:
        values = values.view(np.uint32)  # Pillow knows 32 bits with a sign only
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= _FULL):
        raise _out_of_range(name, values)
    if values.dtype.kind == "f" and high <= 1.0:
        steps = np.round(values * np.float64(_FULL))
        return _unit(_FULL - steps if white_is_zero else steps)
    if values.dtype.kind == "f":
        if white_is_zero or (high < _FRACTION and (values % 1).any()):
            raise _out_of_range(name, values)
        values = np.round(values)
    counts = values.astype(np.uint16)
    return _unit(_FULL - counts) if white_is_zero else counts


def _unit(steps: AnyArray) -> Floats32:
    """Scale steps of 1 / 65535 as `resize_image` does."""
    return steps.astype(np.float32) / np.float32(_FULL)


def _out_of_range(name: str, values: AnyArray) -> ImageError:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return ImageError(
            f"{name} has pixels that are NaN or infinite. Write it again without them.",
            code="values",
        )
    return ImageError(
        f"{name} has {'floating-point' if values.dtype.kind == 'f' else 'signed or 32-bit'} pixels "
        f"from {values.min():g} to {values.max():g}, and what is black and white among them is not "
        "known. Save all images with one scale: in [0, 1], or as unsigned 16 bits.",
        code="values",
    )


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # noqa: S101 - only None where converting in place
    return converted


def _over_white(image: Image.Image) -> Pixels:
    """Lay a transparent image over white, in whole numbers, some rows at a time."""
    rgba = np.asarray(image.convert("RGBA"))
    blended = np.empty((*rgba.shape[:2], 3), np.uint8)
    for start in range(0, len(rgba), _BLEND_ROWS):
        rows = rgba[start : start + _BLEND_ROWS].astype(np.uint32)
        colour, alpha = rows[..., :3], rows[..., 3:]
        mixed = (colour * alpha + 255 * (255 - alpha) + 127) // 255
        blended[start : start + _BLEND_ROWS] = mixed
    return blended[..., 0].copy() if image.mode in {"LA", "La", "L"} else _grey_if_grey(blended)


def _without_colour_if_grey(rgb: Image.Image, mode: str) -> Pixels:
    pixels = np.asarray(rgb)
    return _grey_if_grey(pixels) if mode in {"P", "PA"} else pixels


def _grey_if_grey(pixels: Bytes) -> Bytes:
    """Drop two channels where all three are the same."""
    first = pixels[..., 0]
    same = bool((pixels[..., 1] == first).all() and (pixels[..., 2] == first).all())
    return np.ascontiguousarray(first) if same else pixels
