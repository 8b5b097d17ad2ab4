"""What the tags of a TIFF tell, where Pillow does not look: kinds, white is zero, thumbnail pages.

Tags and their numbers: TIFF Revision 6.0, Adobe, 1992; https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, TiffImagePlugin

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 254, 255, 256, 257, 258, 262
_OFFSETS: Final = (273, 324)  # of strips or tiles
_FILL_ORDER, _BANDS, _PLANES, _EXTRA, _SAMPLE_FORMAT = 266, 277, 284, 338, 339
_REDUCED, _MASK = 1, 4  # bits of the subfile's type
_NUMBERS: Final = {1: "unsigned", 2: "signed", 3: "floating-point"}
_KNOWN_BITS: Final = frozenset({1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32, 64, 128})
_MOST_PAGES: Final = 32  # thumbnails, pyramid levels and masks beside what is meant
_SMALL: Final = 0.51  # of the largest page's sides: a thumbnail, or the next level of a pyramid


@dataclass(frozen=True)
class TiffKind:
    """How one page of a TIFF is stored.

    Parameters
    ----------
    bits : tuple of int
        Of each band.
    number : int
        1 unsigned, 2 signed, 3 floating-point, others by the standard.
    photometric : int
        0 white is zero, 1 black is zero, 2 RGB, ...
    planar : bool
        Whether each band is stored on its own, one after the other.
    """

    bits: tuple[int, ...]
    number: int
    photometric: int
    planar: bool = False

    @classmethod
    def of(cls, tags: Mapping[int, Any]) -> TiffKind:
        """Read the kind from tags, by their numbers."""
        bits = _numbers(tags.get(_BITS, 1))
        bands = _numbers(tags.get(_BANDS, 1))[0]
        bits = bits * bands if len(bits) == 1 < bands <= 64 else bits
        number = _numbers(tags.get(_SAMPLE_FORMAT, 1))[0]
        planar = len(bits) > 1 and _numbers(tags.get(_PLANES, 1))[0] == 2
        return cls(bits, number, _numbers(tags.get(_PHOTOMETRIC, 1))[0], planar)

    @property
    def white_is_zero(self) -> bool:
        """Whether 0 is white."""
        return self.photometric == 0

    @property
    def words(self) -> str:
        """The kind in words, such as "64-bit floating-point grey"."""
        sizes = sorted(set(self.bits))
        size = "-, ".join(map(str, sizes))
        stored = f"{size}-bit {_NUMBERS.get(self.number, f'pixels of format {self.number}')}"
        if len(self.bits) == 1:
            white = ", white is zero" * self.white_is_zero
            return f"{stored} grey{white}"
        return f"{len(self.bits)} bands of {stored} numbers{', one after the other' * self.planar}"

    @property
    def is_misread(self) -> bool:
        """Whether Pillow opens this kind and takes the bytes of its numbers for pixels."""
        return self.planar and max(self.bits) > 8

    @property
    def is_plausible(self) -> bool:
        """Whether this can be meant, as opposed to what a damaged header says."""
        sound = 1 <= len(self.bits) <= 64 and set(self.bits) <= _KNOWN_BITS
        return sound and 1 <= self.number <= 6 and 0 <= self.photometric <= 34892

    def is_read(self, order: bytes, tags: Mapping[int, Any]) -> bool:
        """Whether Pillow reads this kind, so that something else is wrong with the file."""
        fill, extra = _numbers(tags.get(_FILL_ORDER, 1))[0], tags.get(_EXTRA, ())
        key = (order, self.photometric, (self.number,), fill, self.bits, extra)
        return key in TiffImagePlugin.OPEN_INFO


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(int(v) for v in (value if isinstance(value, tuple) else (value,)))


def unread_kind(data: bytes) -> TiffKind | None:
    """Return what a TIFF holds that Pillow does not know; None where its header is damaged."""
    header = data[: 16 if data[2:3] == b"+" or data[3:4] == b"+" else 8]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tags = TiffImagePlugin.ImageFileDirectory_v2(header)
            file = io.BytesIO(data)
            file.seek(tags.next)
            tags.load(file)
            kind = TiffKind.of(tags)
            sizes = min(_numbers(tags[_WIDTH])[0], _numbers(tags[_HEIGHT])[0])
            starts = [o for tag in _OFFSETS if tag in tags for o in _numbers(tags[tag])]
        except Exception:  # noqa: BLE001 - hostile bytes raise anything
            return None
    sound = kind.is_plausible and sizes > 0 and bool(starts) and max(starts) < len(data)
    return kind if sound and not kind.is_read(header[:2], tags) else None


def take_full_page(image: Image.Image, most: int) -> bool:
    """Go to the first page of full size; say whether there are at most so many of them.

    Thumbnails, further levels of a pyramid and masks do not count: pages that say so, and those of
    at most half the largest page's sides. Of a file of hundreds of pages only the first are
    looked at: counting all of a hostile one could take for ever.
    """
    pages: list[tuple[int, int, int]] = []
    for number in range(_MOST_PAGES + most + 1):
        try:
            image.seek(number)
        except EOFError:
            break
        if not _is_extra(image):
            pages.append((number, *image.size))
    if not pages:  # they all say that they are reduced: take them at their sizes
        image.seek(0)
        return True
    wide, high = max(w for _, w, _ in pages), max(h for _, _, h in pages)
    full = [n for n, w, h in pages if w > _SMALL * wide or h > _SMALL * high]
    image.seek(full[0])
    return len(full) <= most


def _is_extra(image: Image.Image) -> bool:
    """Tell a page that says itself that it is a thumbnail, a reduced copy or a mask."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    kind = _numbers(tags.get(_SUBFILE, 0))[0]
    return bool(kind & (_REDUCED | _MASK)) or _numbers(tags.get(_OLD_SUBFILE, 1))[0] == 2
