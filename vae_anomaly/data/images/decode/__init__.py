"""Decode images safely, and say what is wrong with those that cannot be.

The header is looked at before anything is decoded, and what is too large is refused. Every fault
is an `ImageError` with one of these codes:

=============  ==================================================================
missing        the file does not exist, cannot be opened, or is none: a folder, a pipe
empty          0 bytes
not_an_image   no JPEG, PNG, TIFF, BMP or WebP, whatever the name says
truncated      the file ends before the image does
unreadable     damaged
unsupported    sound, but of a kind that nobody here reads: float64, five bands, ...
too_large      more pixels or bytes, or a longer side, than `ImageLimits` allows
memory         sound, but there was not memory enough to read it
frames         an animation or a stack: which of its images is meant is not known
values         pixels that are NaN, negative or above 65535: their scale is not known
bit_depth      8 bits where the model has learned from 16, or the reverse
=============  ==================================================================

An image leaves this room in one of three ways, and its type says what white is: 255 of **uint8**,
1.0 of **float32**; of **uint16** the file does not tell, as cameras of 10, 12 and 14 bits are
stored in 16 without stretching, and whoever takes it has to know (`white.white_of`).
"""

from vae_anomaly.data.images.decode.limits import (
    ImageInfo,
    ImageLimits,
    ImageReading,
)
from vae_anomaly.data.images.decode.memory import within_memory
from vae_anomaly.data.images.decode.pixels import Pixels
from vae_anomaly.data.images.decode.read import (
    decode_image,
    load_image,
    orientation_of,
    probe_image,
    stored_image,
    turn_upright,
    upright_pixels,
)

__all__ = [
    "ImageInfo",
    "ImageLimits",
    "ImageReading",
    "Pixels",
    "decode_image",
    "load_image",
    "orientation_of",
    "probe_image",
    "stored_image",
    "turn_upright",
    "upright_pixels",
    "within_memory",
]
