"""Mark the images that this package draws, so that none is ever taken for an image of a part."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SOFTWARE: Final = {"Software": "vae-anomaly"}
"""The text that a PNG of ours carries at its head."""

_MARK: Final = b"tEXtSoftware\x00vae-anomaly"
_HEAD_BYTES: Final = 512


def save_marked(image: Image.Image, file: Path) -> None:
    """Write an image as PNG, with the mark."""
    info = PngInfo()
    for name, text in SOFTWARE.items():
        info.add_text(name, text)
    image.save(file, format="PNG", pnginfo=info)


def was_drawn(file: Path) -> bool:
    """Tell a PNG of ours; what is no file, or cannot be read, is none."""
    return _MARK in head_of(file, _HEAD_BYTES)


def head_of(file: Path, n_bytes: int) -> bytes:
    """Return how a file begins; nothing where there is none, or no plain file."""
    try:
        if not file.is_file():
            return b""
        with file.open("rb") as opened:
            return opened.read(n_bytes)
    except OSError:
        return b""
