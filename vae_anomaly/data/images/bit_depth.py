"""Decide how bright white is in pictures of more than 8 bits.

Cameras of 10, 12 or 14 bits are stored in files of 16, mostly without stretching: white is then
4095, not 65535, and read on the full scale every picture would be nearly black. The rule:

* white is the smallest of 255, 1023, 4095, 16383 and 65535 that no *training* picture exceeds;
* it is one number for all pictures of a model, decided once and saved with it, so that a picture's
  score never depends on its own brightest pixel;
* pixels above it, in later pictures, are white;
* 8-bit pictures are not concerned: their white is 255.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray
from vae_anomaly.errors import ConfigError

WHITE_LEVELS: Final = (255, 1023, 4095, 16383, 65535)
FULL_SCALE: Final = WHITE_LEVELS[-1]


def white_level(peak: int) -> int:
    """Return the white of the camera whose brightest pixel is ``peak``; 65535 for black pictures.

    Examples
    --------
    >>> white_level(3900), white_level(4096), white_level(0)
    (4095, 16383, 65535)
    """
    return FULL_SCALE if peak < 1 else next(level for level in WHITE_LEVELS if peak <= level)


def stretch(pixels: AnyArray, white: int) -> AnyArray:
    """Spread uint16 pixels from 0 ... white to the full 16 bits; others stay as they are.

    Parameters
    ----------
    pixels : ndarray of any shape
    white : int
        One of `WHITE_LEVELS`.

    Returns
    -------
    ndarray of the same shape and dtype

    Raises
    ------
    ConfigError
        If there is no such white.

    Examples
    --------
    >>> stretch(np.array([0, 2048, 4095, 5000], np.uint16), 4095).tolist()
    [0, 32776, 65535, 65535]
    """
    if white not in WHITE_LEVELS:
        raise ConfigError(f"White is one of {', '.join(map(str, WHITE_LEVELS))}. Got {white}.")
    if pixels.dtype != np.uint16 or white == FULL_SCALE:
        return pixels
    wide = np.minimum(pixels, white).astype(np.uint32) * np.uint32(FULL_SCALE)
    return np.asarray((wide + np.uint32(white // 2)) // np.uint32(white), np.uint16)
