"""One look at every image: decoded once, kept small, shared by all checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from vae_anomaly.arrays import AnyArray, Floats, Floats32
from vae_anomaly.data.images.decode import (
    ImageInfo,
    ImageLimits,
    Pixels,
    decode_image,
    probe_image,
    within_memory,
)
from vae_anomaly.data.images.folders import ImageItem, why_not_trained_on
from vae_anomaly.data.images.over_exposed import white_shares
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.data.images.white import (
    FULL_SCALE,
    WHITE_LEVELS,
    BrightPixels,
    shows_colour,
    white_of,
)
from vae_anomaly.errors import ImageError
from vae_anomaly.files import sha256_of
from vae_anomaly.progress import Progress
from vae_anomaly.threads import allowed_cores

THUMBNAIL: Final = 96
"""Side of the grey copy that is kept of each image, in pixels."""

_WORKERS: Final = 4  # decoders run without Python's lock; each holds one whole image
_LARGE_PIXELS: Final = 4096 * 4096  # of which one at a time is held

Thumbnail = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Look:
    """One image as the checks see it; `error` where it cannot be decoded.

    Attributes
    ----------
    info : ImageInfo
    digest : str
        SHA-256 of the pixels.
    thumbnail : ndarray of shape (96, 96), float16 in [0, 1], grey
    shape : (height, width), pixels
    bright : BrightPixels, optional
        The brightest pixels, of an image of more than 8 bits.
    white : dict of int to (float, float)
        Shares of white and nearly white pixels by what may be white in images of more than 8 bits.
    colourful : bool
        Whether the channels differ, and not only in name.
    sharpness : float
        Log of the mean step between neighbours, relative to the contrast.
    modified_s : float
        Time of the file's last change, seconds since 1970.
    """

    item: ImageItem
    error: ImageError | None = None
    info: ImageInfo | None = None
    digest: str = ""
    thumbnail: Thumbnail | None = None
    shape: tuple[int, int] = (0, 0)
    bright: BrightPixels | None = None
    white: dict[int, tuple[float, float]] = field(default_factory=dict)
    colourful: bool = False
    sharpness: float = 0.0
    modified_s: float = 0.0

    @property
    def deep(self) -> bool:
        """Whether it has more than 8 bits a pixel, and does not tell its white."""
        return self.bright is not None

    @property
    def is_training(self) -> bool:
        """Whether a detector would be trained on it."""
        return why_not_trained_on(self.item) is None

    @property
    def brightness(self) -> float:
        """Mean of the image, in [0, 1]."""
        return 0.0 if self.thumbnail is None else float(self.thumbnail.mean(dtype=np.float64))

    @property
    def contrast(self) -> float:
        """Sd of the image's brightness, in [0, 1]."""
        return 0.0 if self.thumbnail is None else float(self.thumbnail.std(dtype=np.float64))


def look_at_all(
    items: Sequence[ImageItem], tell: Progress, limits: ImageLimits | None = None
) -> Iterator[Look]:
    """Decode images, several at once, and yield a look at each in their order."""
    look_at = partial(_look_at, limits=limits or ImageLimits(), alone=Lock())
    with ThreadPoolExecutor(min(_WORKERS, allowed_cores())) as pool:
        for done, look in enumerate(pool.map(look_at, items), start=1):
            yield look
            tell("check images", done, len(items))


def white_of_looks(looks: Sequence[Look]) -> int:
    """Return the white that a model trained on these images takes for those of 16 bits."""
    return white_of([look.bright for look in looks if look.bright is not None])


def white_shares_of(looks: Sequence[Look], white: int) -> Floats:
    """Return shares of white and nearly white pixels, (N, 2), by the white of 16 bits."""
    return np.array([look.white.get(white, (0.0, 0.0)) for look in looks], np.float64)


def on_one_scale(looks: Sequence[Look]) -> list[Look]:
    """Return looks at images of 16 bits as a model sees them, by the white of all of them."""
    white = white_of_looks(looks)
    gain = np.float16(FULL_SCALE / white)
    return [
        replace(look, thumbnail=look.thumbnail * gain)
        if look.deep and look.thumbnail is not None
        else look
        for look in looks
    ]


def thumbnails(looks: Sequence[Look], side: int) -> Floats32:
    """Return the thumbnails (N, side, side), float32; the side divides 96."""
    block = THUMBNAIL // side
    out = np.empty((len(looks), side, side), np.float32)
    for i, look in enumerate(looks):
        if look.thumbnail is not None:
            small = look.thumbnail.astype(np.float32).reshape(side, block, side, block)
            out[i] = small.mean(axis=(1, 3))
    return out


def _look_at(item: ImageItem, limits: ImageLimits, alone: Lock) -> Look:
    """Look at one image, or say why that cannot be; of large ones no two at once."""
    try:
        info = probe_image(item.path, limits=limits)
        large = info.width * info.height > _LARGE_PIXELS
        with within_memory(str(item.path)), alone if large else nullcontext():
            return _looked_at(item, info, decode_image(item.path, limits=limits))
    except ImageError as err:
        return Look(item, error=err)


def _looked_at(item: ImageItem, info: ImageInfo, pixels: Pixels) -> Look:
    """Keep a small grey copy of an image, and what the checks ask of the large one."""
    small = prepare_image(pixels, (THUMBNAIL, THUMBNAIL), 1)[..., 0]
    return Look(
        item,
        None,
        info,
        sha256_of(pixels.tobytes()),
        small.astype(np.float16),
        (pixels.shape[0], pixels.shape[1]),
        BrightPixels.of(pixels),
        _white(pixels),
        pixels.ndim == 3 and shows_colour(pixels),
        _sharpness(pixels),
        item.path.stat().st_mtime,
    )


def _white(pixels: AnyArray) -> dict[int, tuple[float, float]]:
    """Return shares of white pixels for each white that training images may turn out to have."""
    if pixels.dtype != np.uint16:
        return dict.fromkeys(WHITE_LEVELS, white_shares(pixels))
    return {white: white_shares(pixels, white) for white in WHITE_LEVELS}


def _sharpness(pixels: AnyArray) -> float:
    """Compare the mean step between neighbours, in the middle, with the contrast there."""
    height, width = pixels.shape[:2]
    top, left = max(0, height // 2 - 256), max(0, width // 2 - 256)
    middle = pixels[top : top + 512, left : left + 512]
    grey = (middle if middle.ndim == 2 else middle[..., 1]).astype(np.float32)
    if min(grey.shape) < 2:
        return 0.0
    step = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    return float(np.log((step + 1e-3) / (grey.std() + 1e-3)))
