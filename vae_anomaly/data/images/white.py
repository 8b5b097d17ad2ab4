"""What is white, and whether colour is shown: asked of images before they are resized.

Cameras of 10, 12 or 14 bits are stored in files of 16, mostly without stretching: white is then
4095, not 65535, and read on the full scale every image would be nearly black. The rule:

* white is the smallest of 255, 1023, 4095, 16383 and 65535 that the *training* images do not
  exceed. They exceed it where many pixels of some do: more than 8 (or 1 in 100,000) in more than
  1 image in 50 (and more than one); or where a few pixels of many do: any, but not always the same,
  in more than 1 image in 10. So neither a hot pixel decides, nor a stuck one, nor one spoilt image;
* it is one number for all images of a model, decided once and saved with it, so that an image's
  score never depends on its own brightest pixel;
* pixels above it count as white;
* 8-bit images are not concerned: their white is 255.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray
from vae_anomaly.errors import ConfigError

WHITE_LEVELS: Final = (255, 1023, 4095, 16383, 65535)
FULL_SCALE: Final = WHITE_LEVELS[-1]

_FEW_PIXELS: Final = 8  # of an image: hot, or a time stamp
_FEW_IN: Final = 100_000  # the same, of large images: one pixel in so many
_FEW_IMAGES: Final = 50  # one image in so many, and always one, may be spoilt
_MANY_IMAGES: Final = 10  # where one image in so many has bright pixels, they are no accident
_COLOUR_SHARE: Final = 0.01  # of the pixels: less is a time stamp on a grey image
_STEP: Final = 4  # rows and columns that are looked at for colour: each fourth


@dataclass(frozen=True)
class BrightPixels:
    """The brightest pixels of one image of 16 bits.

    Attributes
    ----------
    level : int
        What all but a few of its pixels do not exceed.
    few : dict of (int, int) to int
        The pixels above that, by place, row and column.
    """

    level: int
    few: dict[tuple[int, int], int]

    @classmethod
    def of(cls, pixels: AnyArray) -> BrightPixels | None:
        """Look at pixels (H, W) or (H, W, C); None for images of 8 bits, which have their white."""
        if pixels.dtype != np.uint16 or not pixels.size:
            return None
        flat = (pixels if pixels.ndim == 2 else pixels.max(axis=2)).reshape(-1)
        few = min(max(_FEW_PIXELS, flat.size // _FEW_IN), flat.size - 1)
        level = int(np.partition(flat, flat.size - few - 1)[flat.size - few - 1])
        above = np.flatnonzero(flat > level)
        places = zip(*(axis.tolist() for axis in np.divmod(above, pixels.shape[1])), strict=True)
        return cls(level, dict(zip(places, flat[above].tolist(), strict=True)))

    @property
    def peak(self) -> int:
        """The brightest pixel of all."""
        return max(self.few.values(), default=self.level)

    def above(self, white: int) -> set[tuple[int, int]]:
        """Return the places of the few pixels above a white."""
        return {place for place, value in self.few.items() if value > white}


def white_of(looks: Sequence[BrightPixels]) -> int:
    """Return the white of images of more than 8 bits, by the rule above; 65535 for black ones.

    Examples
    --------
    >>> images = [np.full((8, 8), 3900, np.uint16) for _ in range(9)]
    >>> images[0][0, 0] = 65535
    >>> white_of([look for image in images if (look := BrightPixels.of(image))])
    4095
    """
    if max((look.peak for look in looks), default=0) < 1:
        return FULL_SCALE
    return next(white for white in WHITE_LEVELS if not _exceed(looks, white))


def _exceed(looks: Sequence[BrightPixels], white: int) -> bool:
    """Say whether images exceed a white by more than accidents."""
    many = sum(look.level > white for look in looks)
    if many > max(len(looks) > 1, len(looks) // _FEW_IMAGES):
        return True
    places = [look.above(white) for look in looks]
    seen = Counter(place for above in places for place in above)
    n_bright = sum(map(bool, places))
    stuck = {place for place, n in seen.items() if n > 1 and 2 * n > n_bright}
    bright = sum(bool(above - stuck) for above in places)
    return bright > max(1, len(looks) // _MANY_IMAGES)


def stretch(pixels: AnyArray, white: int) -> AnyArray:
    """Spread uint16 pixels from 0 ... white to the full 16 bits; others stay as they are.

    Raises `ConfigError` if the white is not in 1 ... 65535.

    Examples
    --------
    >>> stretch(np.array([0, 2048, 4095, 5000], np.uint16), 4095).tolist()
    [0, 32776, 65535, 65535]
    """
    if not 1 <= white <= FULL_SCALE:
        raise ConfigError(f"White is from 1 to {FULL_SCALE}. Got {white}.")
    if pixels.dtype != np.uint16 or white == FULL_SCALE:
        return pixels
    values = np.minimum(np.arange(FULL_SCALE + 1, dtype=np.uint64), white) * FULL_SCALE
    return np.asarray(((values + white // 2) // white).astype(np.uint16)[pixels])


def shows_colour(pixels: AnyArray) -> bool:
    """Say whether the channels of an image (H, W, 3) differ, and not in a few pixels only."""
    sample = pixels[::_STEP, ::_STEP]
    return bool((sample.max(axis=2) > sample.min(axis=2)).mean() > _COLOUR_SHARE)
