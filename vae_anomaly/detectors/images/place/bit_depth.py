"""What is white: one number for all images of a model, and the depth that it has learned from.

Images of the other depth are converted where what is stored decides their white: 16 bits that are
filled, above the white of every smaller camera or with nothing but 257 times the values of 8 bits;
8 bits beside filled 16. Else nobody knows it but who has made them: they are refused until it is
told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray
from vae_anomaly.data.images.white import FULL_SCALE, WHITE_LEVELS, BrightPixels, stretch
from vae_anomaly.errors import ImageError

EIGHT_BITS: Final = 255
_COPIED: Final = 257  # 65535 / 255: 8 bits written twice


@dataclass(frozen=True)
class BitDepth:
    """How the training images were stored.

    Parameters
    ----------
    white : int
        Of images of more than 8 bits, the value that is white.
    bits : {8, 16}, optional
        What they had: an image of the other depth is refused where its white is not known. None
        takes both: where the white was told, and for models saved before this was kept.
    """

    white: int = FULL_SCALE
    bits: int | None = None

    def scaled(self, pixels: AnyArray, name: str, told: int | None = None) -> AnyArray:
        """Return pixels of which uint16 spreads from 0 to white over all 16 bits.

        Parameters
        ----------
        pixels : ndarray
            Floating point has its white, 1.0, as uint8 has 255; both stay as they are.
        name : str
            Of the image, for the message.
        told : int, optional
            The white of this image, where whoever gives it knows.

        Raises
        ------
        ImageError
            If the image has the other depth and its white was not told; its code is "bit_depth".
        """
        if pixels.dtype == np.uint16:
            if told is None and self.bits == 8 and not _fills_16_bits(pixels):
                raise _other_depth(
                    name, 16, "of 8 bits", "tell its white (--white 4095 for a camera of 12 bits; "
                    "in Python ImageReading(white=4095)), save it with 8 bits",
                )  # fmt: skip
            return stretch(pixels, self.white if told is None else told)
        known = self.bits != 16 or told == EIGHT_BITS or self.white in (EIGHT_BITS, FULL_SCALE)
        if pixels.dtype == np.uint8 and not known:
            raise _other_depth(
                name, 8, f"of 16 bits with white at {self.white}",
                "save it with 16 bits, say --white 255 if its 255 is the same light (in Python "
                "ImageReading(white=255))",
            )  # fmt: skip
        return pixels


def _fills_16_bits(pixels: AnyArray) -> bool:
    """Say whether the pixels of an image show that its white is 65535."""
    look = BrightPixels.of(pixels)
    above = look is not None and look.level > WHITE_LEVELS[-2]
    return above or not (pixels % _COPIED).any()


def _other_depth(name: str, bits: int, usual: str, remedy: str) -> ImageError:
    return ImageError(
        f"{name} has {bits} bits, where the training images are {usual}: what is white in it is "
        f"not known. Either {remedy}, or train on images of {bits} bits.",
        code="bit_depth",
    )
