"""Read where an image is defective from a mask, however it was stored, or say why it cannot be.

Read are 1 bit, 8 and 16 bits of grey, colours and palettes on black, numbers of classes or of
defects (1, 2, 3), and drawings on transparent ground. Of values in between, as JPEG and soft edges
leave them, those above half the way from the ground to the next level are defective: a level is a
value that fills an area, and what a file has only along edges is none. Black lines on white are
read as white: of a set whose masks are mostly more than half defective see `look_inverted`.

A mask has the size of its image, or a whole multiple or fraction of it. One that was drawn before
the image was turned upright is turned with it, where its size tells. Faults are `ImageError` with
one of these codes, besides those of `decode_image`:

==================  ==========================================================
mask_size           it fits its image neither as it is nor scaled or turned
mask_turned         its image is turned, and it fits before and after
mask_transparency   its colours say another thing than its transparency
mask_values         its values have no clear levels, or could be noise
mask_full           it is the same all over, and not black
==================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from vae_anomaly.arrays import AnyArray, Bools
from vae_anomaly.data.images.decode import (
    ImageLimits,
    ImageReading,
    orientation_of,
    stored_image,
    turn_upright,
)
from vae_anomaly.data.images.mask_values import defective_by_alpha, defective_pixels
from vae_anomaly.errors import ImageError

_MOST_TIMES: Final = 16  # that a mask is larger or smaller than its image
_BLACK: Final = 64  # of 255: colours that are darker can be the ground
_SIDEWAYS: Final = 5  # EXIF orientations from here on exchange height and width
_LARGE: Final = ImageReading().limits(tiled=True)


def read_mask(mask: Path, image: Path, *, limits: ImageLimits | None = None) -> Bools:
    """Return where an image is defective, upright, at the mask's own resolution.

    Parameters
    ----------
    mask : Path
        A file, or a folder of files that are laid together.
    image : Path
        Its size and the way it is turned are looked at.
    limits : ImageLimits, optional
        Of both; unless given those of large images.

    Returns
    -------
    ndarray of shape (h, w), bool
        True where defective; nowhere if the mask is blank.

    Raises
    ------
    ImageError
        With a code of the module's docstring.
    """
    limits = limits or _LARGE
    if not mask.is_dir():
        return _read_one(mask, image, limits)
    outlines = [_read_one(file, image, limits) for file in sorted(mask.iterdir()) if _is_seen(file)]
    if not outlines or len({outline.shape for outline in outlines}) > 1:
        raise ImageError(
            f"{mask} holds {len(outlines)} masks of different sizes. Give them one size.",
            code="mask_size",
        )
    return np.asarray(np.logical_or.reduce(outlines), np.bool_)


def look_inverted(outlines: Iterable[Bools]) -> bool:
    """Tell whether most masks of a set are more than half defective: drawn black on white."""
    mostly = [float(outline.mean()) > 0.5 for outline in outlines]
    return sum(mostly) > len(mostly) / 2


def looks_like_mask(file: Path) -> bool:
    """Tell a mask, blank or not, from a photo by what it holds."""
    try:
        _outline(file)
    except ImageError:
        return False
    return True


def _is_seen(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")


def _read_one(mask: Path, image: Path, limits: ImageLimits) -> Bools:
    outline, own_turn = _outline(mask, limits)
    outline = np.asarray(turn_upright(outline, own_turn), np.bool_)
    with stored_image(image, limits=limits, load=False) as stored:
        height, width, turn = stored.height, stored.width, orientation_of(stored)
    upright = (width, height) if turn >= _SIDEWAYS else (height, width)
    fits, fits_before = _fits(outline, upright), _fits(outline, (height, width))
    if turn > 1 and own_turn == 1 and fits_before:
        turned = np.asarray(turn_upright(outline, turn), np.bool_)
        if fits and not np.array_equal(turned, outline):
            raise ImageError(
                f"{mask} fits {image.name} before it is turned upright (EXIF orientation {turn}) "
                "and after. Save the image upright, without EXIF, as the mask was drawn.",
                code="mask_turned",
            )
        return turned
    if not fits:
        raise ImageError(
            f"{mask} is {outline.shape[1]} x {outline.shape[0]}, its image "
            f"{upright[1]} x {upright[0]}. Draw it at the size of the image.",
            code="mask_size",
        )
    return outline


def _fits(outline: Bools, size: tuple[int, int]) -> bool:
    """Tell whether a mask has the size of its image, or a whole multiple or fraction of it."""
    (h, w), (height, width) = outline.shape, size
    larger, smaller = round(h / height), round(height / h)
    if 1 <= larger <= _MOST_TIMES and (h, w) == (height * larger, width * larger):
        return True
    if not 1 <= smaller <= _MOST_TIMES:
        return False
    low = height // smaller, width // smaller
    high = -(-height // smaller), -(-width // smaller)
    return bool(low[0] <= h <= high[0] and low[1] <= w <= high[1])


def _outline(mask: Path, limits: ImageLimits = _LARGE) -> tuple[Bools, int]:
    """Return what a mask says, as its file stores it, and how that is turned."""
    with stored_image(mask, limits=limits) as stored:
        try:
            return _defective(stored), orientation_of(stored)
        except ImageError as err:
            raise ImageError(
                f"{mask} cannot be read as a mask: {err} Save it as PNG with 0 where the image is "
                "good and 255 where it is defective.",
                code=err.code,
            ) from None


def _defective(stored: Image.Image) -> Bools:
    lossy = stored.format in {"JPEG", "MPO", "WEBP"}
    if stored.has_transparency_data:
        return defective_by_alpha(np.asarray(stored.convert("RGBA")), lossy=lossy)
    if stored.mode in {"1", "L", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"}:
        return defective_pixels(_whole(np.asarray(stored)), lossy=lossy)
    colours = np.asarray(stored.convert("RGB"))
    if colours.max(axis=2).min() >= _BLACK and np.ptp(colours, axis=2).max() >= _BLACK:
        raise ImageError("it has colours, and none of them is black.", code="mask_values")
    return defective_pixels(colours.max(axis=2), lossy=lossy)


def _whole(values: AnyArray) -> AnyArray:
    """Return values as whole numbers; those in [0, 1] are shares."""
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind == "f" and np.any(values != np.round(values)):
        values = values * 255.0
    whole = np.round(values)
    if not np.isfinite(whole).all() or whole.min() < 0 or whole.max() > 65535:
        raise ImageError("its values are not in 0 ... 65535.", code="mask_values")
    return whole.astype(np.uint16)
