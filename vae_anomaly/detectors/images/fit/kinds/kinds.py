"""The kinds of synthetic defects, and one draw of a kind at a size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from vae_anomaly.arrays import Bools, Floats32
from vae_anomaly.detectors.images.fit.kinds.contrast import (
    brightness_extent,
    fine_noise,
    visible_contrast,
)
from vae_anomaly.detectors.images.fit.kinds.painters import (
    Painter,
    Window,
    paint_blur,
    paint_contamination,
    paint_hole,
    paint_missing,
    paint_scratch,
    paint_stain,
    paint_tint,
)
from vae_anomaly.errors import ConfigError

_SMALL: Final = (4, 8, 16, 32)
_BROAD: Final = (8, 16, 32, 64)
_MARGIN: Final = 8  # pixels around a defect that tell the noise there
_TRIES: Final = 6  # places that are tried where a kind may not show
_PLACES: Final = 100  # that are drawn until one lies within the mask
_LARGEST: Final = 4  # no defect is larger than this part of the side


@dataclass(frozen=True)
class DefectKind:
    """A kind of synthetic defect.

    Parameters
    ----------
    name : str
        One of it; ``plural`` is how several are called.
    sizes : tuple of int, pixels of the image as the model sees it
        Length of a scratch, diameter of all else.
    """

    name: str
    plural: str
    sizes: tuple[int, ...]
    paint: Painter


@dataclass(frozen=True)
class DrawnDefect:
    """A copy of an image with one defect, (H, W, C) float32 in [0, 1], and where it differs."""

    image: Floats32
    where: tuple[slice, slice]


DEFECT_KINDS: Final[dict[str, DefectKind]] = {
    kind.name: kind
    for kind in (
        DefectKind("hole", "holes", _SMALL, paint_hole),
        DefectKind("scratch", "scratches", _BROAD, paint_scratch),
        DefectKind("stain", "stains", _BROAD, paint_stain),
        DefectKind("missing piece", "missing pieces", _BROAD, paint_missing),
        DefectKind("foreign body", "foreign bodies", _SMALL, paint_contamination),
        DefectKind("blur", "blurred spots", _BROAD, paint_blur),
        DefectKind("tint", "spots of another colour", _BROAD, paint_tint),
    )
}
"""The kinds by name; a tint shows on colour images only, a blur where there is texture."""


def kinds_of(side: int, channels: int) -> dict[str, tuple[int, ...]]:
    """Return the kinds and their sizes for images of a side in pixels: up to a quarter of it.

    Examples
    --------
    >>> kinds_of(64, 1)["hole"], "tint" in kinds_of(64, 1)
    ((4, 8, 16), False)
    """
    return {
        kind.name: tuple(size for size in kind.sizes if size <= max(8, side // _LARGEST))
        for kind in DEFECT_KINDS.values()
        if channels > 1 or kind.name != "tint"
    }


def one_of_each(
    image: Floats32,
    channels: int,
    seed: Sequence[int],
    *,
    inside: Bools | None = None,
) -> Iterator[tuple[str, int, DrawnDefect]]:
    """Yield kind, size and copy of an image for each kind and size that shows on it.

    Parameters
    ----------
    image : ndarray of shape (H, W, C), float32 in [0, 1]
    channels : {1, 3}
        That a model sees, which may be fewer.
    seed : sequence of int
        Each kind and size has a generator of its own, whatever else is drawn.
    inside : ndarray of shape (H, W), bool, optional
        Where their centres may lie.
    """
    for number, (kind, sizes) in enumerate(kinds_of(min(image.shape[:2]), channels).items()):
        for size in sizes:
            generator = np.random.default_rng([*seed, number, size])
            drawn = draw_defect(image, kind, size, generator, inside=inside)
            if drawn is not None:
                yield kind, size, drawn


def draw_defect(
    image: Floats32,
    kind: str,
    size: int,
    generator: Generator,
    *,
    inside: Bools | None = None,
    contrast: float = 1.0,
) -> DrawnDefect | None:
    """Paint one defect of a kind and size into a copy of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, C), float32 in [0, 1]
    kind : str
        One of `DEFECT_KINDS`.
    size : int, pixels
    inside : ndarray of shape (H, W), bool, optional
        Where its centre may lie.
    contrast : float
        In units of `visible_contrast`.

    Returns
    -------
    DrawnDefect or None
        None where this kind shows nowhere that was tried: no texture to blur, no colour.

    Raises
    ------
    ConfigError
        If the kind is unknown, or the image holds no defect of this size.
    """
    _check(image, kind, size)
    for _ in range(_TRIES):
        window, where = _window(image, size, _centre(image, size, generator, inside), contrast)
        painted = DEFECT_KINDS[kind].paint(window, generator)
        if painted is not None:
            copy = image.copy()
            copy[where] = np.clip(painted, 0.0, 1.0)
            return DrawnDefect(copy, where)
    return None


def _check(image: Floats32, kind: str, size: int) -> None:
    if kind not in DEFECT_KINDS:
        raise ConfigError(f"kind must be one of {', '.join(DEFECT_KINDS)}; got {kind!r}.")
    if not 1 <= size <= min(image.shape[:2]) - 2:
        raise ConfigError(
            f"size must be in [1, {min(image.shape[:2]) - 2}] pixels for an image of "
            f"{image.shape[0]} x {image.shape[1]}; got {size}."
        )


def _window(
    image: Floats32, size: int, centre: tuple[float, float], contrast: float
) -> tuple[Window, tuple[slice, slice]]:
    """Return what a painter needs to know of a place, and where it lies."""
    reach = size // 2 + _MARGIN
    rows, columns = (
        slice(max(0, int(c) - reach), min(n, int(c) + reach + 1))
        for c, n in zip(centre, image.shape, strict=False)
    )
    part = image[rows, columns]
    noise = fine_noise(part)
    within = centre[0] - rows.start, centre[1] - columns.start
    visible = contrast * visible_contrast(noise, brightness_extent(image))
    window = Window(part, within, size, visible, noise, image)
    return window, (rows, columns)


def _centre(
    image: Floats32, size: int, generator: Generator, inside: Bools | None
) -> tuple[float, float]:
    """Draw where a defect lies: all of it within the image, its centre within the mask."""
    reach = size / 2.0 + 1.0
    low, high = np.full(2, reach), np.array(image.shape[:2]) - reach
    y, x = generator.uniform(low, high)
    for _ in range(0 if inside is None else _PLACES):
        if inside is not None and inside[int(y), int(x)]:
            break
        y, x = generator.uniform(low, high)
    return float(y), float(x)
