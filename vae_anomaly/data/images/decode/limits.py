"""What may be read, and what is told of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Final

from vae_anomaly.errors import ConfigError, ImageError

LARGE_PIXELS: Final = 16384 * 16384
LARGE_BYTES: Final = 2**30
_LONG: Final = 8  # times the side of the largest square: what is longer is no image of a part


@dataclass(frozen=True)
class ImageLimits:
    """The largest image that is decoded.

    Parameters
    ----------
    max_pixels : int
        Width times height. The default fits an 8192 x 8192 line scan. No side may be longer than
        8 times its root (`max_side`).
    max_bytes : int
        Size of the file.
    max_frames : int
        Images of full size in one file. Where more than one is allowed, the first is taken.
    """

    max_pixels: int = 8192 * 8192
    max_bytes: int = 256 * 2**20
    max_frames: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"{name} must be at least 1. Got {value}.")

    @property
    def max_side(self) -> int:
        """The longest side: 65,536 pixels by default, more than a JPEG can have.

        Memory and time for one line grow with its length, however few pixels there are in all.
        """
        return _LONG * isqrt(self.max_pixels)

    @staticmethod
    def pixels_for(side: int) -> int:
        """Return the `max_pixels` under which so long a side is read."""
        return int(-(-side // _LONG)) ** 2


@dataclass(frozen=True)
class ImageReading:
    """How the images of one training, night or evaluation are to be read.

    It is no part of a model: the same image has the same score under all of them, or none.

    Parameters
    ----------
    max_pixels, max_bytes, max_frames : int, optional
        As `ImageLimits`. Unless given, 67 million pixels and 256 MiB; for what is cut into tiles
        268 million and 1 GiB.
    white : int, optional
        The value that is white in *these* images: 4095 of a 12-bit camera's files of 16 bits. 255
        lets a model of 16 bits take images of 8. Unless given, the model's own white counts, and
        images of the other depth are refused.

    Examples
    --------
    >>> ImageReading(max_frames=3).limits()
    ImageLimits(max_pixels=67108864, max_bytes=268435456, max_frames=3)
    >>> ImageReading().limits(tiled=True).max_pixels
    268435456
    """

    max_pixels: int | None = None
    max_bytes: int | None = None
    max_frames: int | None = None
    white: int | None = None

    def __post_init__(self) -> None:
        if self.white is not None and not 1 <= self.white <= 65535:
            raise ConfigError(f"white must be from 1 to 65535. Got {self.white}.")
        self.limits()

    def limits(self, *, tiled: bool = False) -> ImageLimits:
        """Return the limits, for images that are cut into tiles or taken whole."""
        usual = ImageLimits(LARGE_PIXELS, LARGE_BYTES) if tiled else ImageLimits()
        return ImageLimits(
            usual.max_pixels if self.max_pixels is None else self.max_pixels,
            usual.max_bytes if self.max_bytes is None else self.max_bytes,
            usual.max_frames if self.max_frames is None else self.max_frames,
        )


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image tells, without its pixels.

    Parameters
    ----------
    format : str
        "JPEG", "PNG", "TIFF", "BMP", "WEBP" or "MPO" (a JPEG with further views).
    mode : str
        Pillow's name for how pixels are stored, such as "L" or "RGB".
    width, height : int
        In pixels, before the image is turned upright.
    """

    format: str
    mode: str
    width: int
    height: int
    size_bytes: int


def check_size(name: str, size: tuple[int, int], limits: ImageLimits) -> None:
    """Refuse an image of a size (width, height) that is too large, or too long."""
    width, height = size
    if width * height > limits.max_pixels:
        raise too_large(name, width * height, f" ({width} x {height})", limits)
    if max(size) > limits.max_side:
        pixels = limits.pixels_for(max(size))
        raise ImageError(
            f"{name} has {width} x {height} pixels; no side may have more than "
            f"{limits.max_side:,}. Cut it into shorter images. If you trust it, give --max-pixels "
            f"{pixels} (in Python ImageReading(max_pixels=...)).",
            code="too_large",
        )


def too_large(name: str, pixels: int, shape: str, limits: ImageLimits) -> ImageError:
    """Return what is said of an image of so many pixels."""
    return ImageError(
        f"{name} has {pixels:,} pixels{shape}; the limit is {limits.max_pixels:,}. If you trust "
        f"it, give --max-pixels {pixels} (in Python ImageReading(max_pixels=...)); models trained "
        "with a tile size read more from the start.",
        code="too_large",
    )
