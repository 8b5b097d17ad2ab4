"""How training images are stored, and what that decides: white, and one channel or three."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray
from vae_anomaly.data.images.white import FULL_SCALE, BrightPixels, shows_colour, white_of
from vae_anomaly.detectors.images.image_list.images import ImageList, look_at
from vae_anomaly.detectors.images.place.bit_depth import EIGHT_BITS, BitDepth
from vae_anomaly.errors import DataError

_PROBES: Final = 32
DARK: Final = 0.25
"""Share of white below which all training images are hardly lit, or hold fewer bits than files."""


@dataclass(frozen=True)
class ImageStorage:
    """What was found of the training images, and chosen by it.

    Attributes
    ----------
    channels : {1, 3}
    colour_share : float
        Share of the images looked at of which the channels differ.
    is_colour_file : bool
        Whether any of them has three channels at all.
    depth : BitDepth
    brighter : int
        Images with pixels above the white, which count as white.
    brightest : float
        The brightest pixel of those looked at, as a share of white.
    """

    channels: int
    colour_share: float
    is_colour_file: bool
    depth: BitDepth
    brighter: int = 0
    brightest: float = 1.0

    def metrics(self) -> dict[str, float]:
        """Return it as numbers; the white only where there are more than 8 bits."""
        deep = self.depth.bits == 16 or self.depth.white != FULL_SCALE
        white = {"white": float(self.depth.white), "images_above_white": float(self.brighter)}
        return {
            "channels": float(self.channels),
            "colour_share": self.colour_share,
            "colour_files": float(self.is_colour_file),
            **(white if deep else {}),
            **({"brightest": self.brightest} if self.brightest < DARK else {}),
        }


def decide_depth(images: ImageList, told: int | None = None) -> tuple[BitDepth, int]:
    """Return the depth of training images, and how many of them exceed the white.

    Looks at 32 of them; all are decoded only where these have more than 8 bits. Those of another
    depth among the others are refused by name when they are read.

    Parameters
    ----------
    images : ImageList
    told : int, optional
        The white, where the user knows; then both depths are taken.

    Raises
    ------
    DataError
        If images of 8 and of more bits are mixed, and the white was not told.
    """
    kinds: dict[np.dtype, str] = {}

    def kind(i: int) -> None:
        kinds.setdefault(images.decoded(i).dtype, images.ids[i])

    look_at(images, kind, _PROBES)
    deep = kinds.get(np.dtype(np.uint16))
    if told is None and deep is None:
        return BitDepth(bits=8), 0
    if deep is None:
        return BitDepth(told or FULL_SCALE), 0
    every = look_at(images, lambda i: BrightPixels.of(images.decoded(i)), len(images))
    looks = [look for look in every if look is not None]
    white = told or white_of(looks)
    brighter = sum(look.peak > white for look in looks)
    if told is not None:
        return BitDepth(white), brighter
    shallow = kinds.get(np.dtype(np.uint8))
    if shallow is not None and white != EIGHT_BITS:
        raise DataError(
            f"Images of 8 bits ({shallow}) and of 16 ({deep}) are mixed, and what is white in one "
            "is not known of the other. Save all with the same number of bits, or tell the white "
            "of those of 16: --white 4095 for a camera of 12 bits (in Python white=4095)."
        )
    return BitDepth(white, bits=16), brighter


def decide_channels(images: ImageList, white: int) -> tuple[int, float, bool, float]:
    """Return 3 where any image shows colour, however faint, else 1.

    JPEG takes the colour out of most nearly grey images, but not of all: then a coloured stain
    would still be stored. Looks at 32 at most, and returns the share that shows some as well,
    whether any has three channels, and the brightest pixel as a share of white.
    """
    votes = look_at(images, lambda i: _vote(images.decoded(i), white), _PROBES)
    share = float(np.mean([shown for shown, _, _ in votes])) if votes else 0.0
    in_colour = any(three for _, three, _ in votes)
    brightest = max((top for _, _, top in votes), default=1.0)
    return 3 if share else 1, share, in_colour, brightest


def _vote(pixels: AnyArray, white: int) -> tuple[bool, bool, float]:
    three = pixels.ndim == 3 and pixels.shape[2] == 3
    full = {np.dtype(np.uint8): EIGHT_BITS, np.dtype(np.uint16): white}.get(pixels.dtype, 1)
    return three and shows_colour(pixels), three, float(pixels.max()) / full


def look_at_storage(
    images: ImageList, channels: int | None = None, white: int | None = None
) -> ImageStorage:
    """Decide white and channels of training images, unless they are told."""
    depth, brighter = decide_depth(images, white)
    found, share, in_colour, brightest = decide_channels(images, depth.white)
    return ImageStorage(channels or found, share, in_colour, depth, brighter, brightest)
