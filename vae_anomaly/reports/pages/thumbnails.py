"""Images of a page, small enough together: many small ones, or few large ones."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from vae_anomaly.arrays import Bytes
from vae_anomaly.reports.facts.items import ReviewItem, ShownImage
from vae_anomaly.reports.pages.outlines import thin_outlines

IMAGE_BUDGET: Final = 1_200_000
"""Characters of base64 that all images of a page take together."""

SMALL_SIDE: Final = 192
"""Pixels of the longer side of an image in a list: sharp on the screen of a phone."""

_FOR_IMAGES: Final = 0.8  # of the budget, where the model also says what it expected
_PROBED: Final = 8  # images that a rung is tried on
_FEWEST_OUTLINE_POINTS: Final = 24
_OUTLINE_POINTS: Final = 24_000  # of a whole page


@dataclass(frozen=True)
class _Rung:
    """How large and how well the images of a page are kept."""

    side: int  # pixels of the longer side of an image
    quality: int  # of WebP, 0 to 100
    map_side: int
    map_quality: int


_LADDER: Final = (
    _Rung(384, 72, 96, 90),
    _Rung(320, 70, 96, 85),
    _Rung(256, 68, 96, 80),
    _Rung(224, 64, 64, 80),
    _Rung(192, 60, 64, 75),
    _Rung(160, 54, 48, 75),
    _Rung(128, 48, 48, 70),
    _Rung(112, 42, 32, 70),
    _Rung(96, 36, 32, 60),
    _Rung(96, 20, 24, 50),
    _Rung(80, 10, 24, 40),
    _Rung(64, 5, 16, 30),
)


def shrink_images(
    items: Sequence[ReviewItem], budget: int = IMAGE_BUDGET
) -> tuple[ReviewItem, ...]:
    """Encode the images of a page anew, so that they take no more than a budget together.

    Those that fit as they were kept stay as they are. What a model expected instead is shown
    of the first items only, where it does not fit for all. Outlines are thinned alike.

    Parameters
    ----------
    items : sequence of ReviewItem
        In the order of the page.
    budget : int, characters of base64
    """
    shown = [item.image for item in items if item.image is not None]
    points = max(_FEWEST_OUTLINE_POINTS, _OUTLINE_POINTS // max(len(shown), 1))
    fitted = [replace(one, contours=thin_outlines(one.contours, points)) for one in shown]
    if sum(map(_size, fitted)) > budget:
        fitted = _with_expected(_fit(fitted, budget), shown, budget)
    images = iter(fitted)
    return tuple(replace(item, image=next(images)) if item.image else item for item in items)


def shrink_thumbnails(kept: Sequence[str], budget: int = IMAGE_BUDGET) -> list[str]:
    """Encode images anew that are shown in a list, small: at most `SMALL_SIDE` pixels.

    Parameters
    ----------
    kept : sequence of str
        In base64; an empty one stays empty.
    budget : int, characters of base64
        Of all of them together.
    """
    for rung in _LADDER:
        made = [_smaller(one, min(rung.side, SMALL_SIDE), rung.quality) for one in kept]
        if sum(map(len, made)) <= budget:
            break
    return made


def _fit(shown: Sequence[ShownImage], budget: int) -> tuple[list[ShownImage], _Rung]:
    """Return images and maps on the best rung that holds them all, without what was expected."""
    share = _FOR_IMAGES if any(one.reconstruction for one in shown) else 1.0
    probes = shown[:: max(1, len(shown) // _PROBED)]
    for rung in _LADDER:
        expected = sum(_size(_on(rung, one)) for one in probes) / len(probes) * len(shown)
        if expected > share * budget and rung is not _LADDER[-1]:
            continue
        fitted = [_on(rung, one) for one in shown]
        if sum(map(_size, fitted)) <= budget:
            break
    return fitted, rung


def _with_expected(
    on_rung: tuple[list[ShownImage], _Rung], shown: Sequence[ShownImage], budget: int
) -> list[ShownImage]:
    """Put what the model expected beside the first images, while it fits."""
    fitted, rung = on_rung
    left = budget - sum(map(_size, fitted))
    for place, one in enumerate(shown):
        if one.reconstruction is None:
            continue
        smaller = _smaller(one.reconstruction, rung.side, rung.quality)
        left -= len(smaller)
        if left < 0:
            break
        fitted[place] = replace(fitted[place], reconstruction=smaller)
    return fitted


def _on(rung: _Rung, one: ShownImage) -> ShownImage:
    return replace(
        one,
        thumbnail=_smaller(one.thumbnail, rung.side, rung.quality),
        heat=_smaller_map(one.heat, rung.map_side, rung.map_quality),
        reconstruction=None,
    )


def _size(one: ShownImage) -> int:
    return len(one.thumbnail) + len(one.heat) + len(one.reconstruction or "")


def _smaller(kept: str, side: int, quality: int) -> str:
    """Return an image in base64 as WebP of at most so many pixels, if that is shorter."""
    if not kept:
        return kept
    image = _opened(kept).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.HAMMING)
    return min(_webp(image, quality), kept, key=len)


def _smaller_map(kept: str, side: int, quality: int) -> str:
    """Return a grey map in base64 with at most so many cells a side; hot cells stay as hot."""
    if not kept:
        return kept
    cells = np.asarray(_opened(kept).convert("L"))
    factor = -(-max(cells.shape) // side)
    return min(_webp(Image.fromarray(_hottest(cells, factor)), quality), kept, key=len)


def _hottest(cells: Bytes, factor: int) -> Bytes:
    """Return the maximum of every block of factor x factor cells."""
    rows, columns = (-length % factor for length in cells.shape)
    padded = np.pad(cells, ((0, rows), (0, columns)), mode="edge")
    height, width = padded.shape[0] // factor, padded.shape[1] // factor
    blocks = padded.reshape(height, factor, width, factor)
    return np.asarray(blocks.max(axis=(1, 3)), np.uint8)


def _opened(kept: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(kept)))


def _webp(image: Image.Image, quality: int) -> str:
    held = io.BytesIO()
    image.save(held, "WEBP", quality=quality, method=4)
    return base64.b64encode(held.getvalue()).decode()
