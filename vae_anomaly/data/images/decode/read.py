"""From a file or bytes to upright pixels, or to an `ImageError` that says why not."""

from __future__ import annotations

import io
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from vae_anomaly.arrays import AnyArray, Floats32
from vae_anomaly.data.images.decode.limits import (
    ImageInfo,
    ImageLimits,
    check_size,
    too_large,
)
from vae_anomaly.data.images.decode.memory import within_memory
from vae_anomaly.data.images.decode.pixels import Pixels, pixels_of
from vae_anomaly.data.images.decode.tiff import take_full_page, unread_kind
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.errors import ImageError
from vae_anomaly.words import number_of, reason_of

FORMATS: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_ORIENTATION: Final = 0x0112
_BIG_BIGTIFF: Final = b"MM\x00+"  # its header is misread by Pillow
_TIFF: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", _BIG_BIGTIFF)
_SIGNATURES: Final = (b"\xff\xd8\xff", b"\x89PNG", *_TIFF, b"BM", b"RIFF")
_PNG_END: Final = b"IEND\xaeB`\x82"  # without it Pillow takes what came before for the whole
_HEADER_LOCK = threading.Lock()  # warnings.catch_warnings is not thread-safe


def decode_image(
    source: str | Path | bytes, *, limits: ImageLimits | None = None, name: str | None = None
) -> Pixels:
    """Decode one image to upright pixels, grey or RGB.

    Parameters
    ----------
    source : path or bytes
    limits : ImageLimits, optional
    name : str, optional
        What the image is called in messages; its path unless given.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), uint8, uint16 or float32
        uint16 where the file has more than 8 bits of grey and does not tell its white; float32
        in [0, 1] where it does: floating-point pixels in [0, 1], and 16 bits with white at zero.
        Transparency lies over white; CMYK, palette, YCbCr and Lab become RGB, a palette of greys
        grey. Of a TIFF with thumbnail pages the page of full size is taken.

    Raises
    ------
    ImageError
        Whatever is wrong with the file; see the codes of the room.
    """
    limits = limits or ImageLimits()
    name, data = _read_bytes(source, limits, name)
    with _translated(name, data):
        image = _loaded(name, data, limits)
        return turn_upright(pixels_of(name, image), orientation_of(image))


@contextmanager
def stored_image(
    source: str | Path | bytes, *, limits: ImageLimits | None = None, load: bool = True
) -> Iterator[Image.Image]:
    """Open an image as it is stored, for whoever reads other things from it than pixels.

    With the checks of `decode_image`, without ``load`` those of `probe_image`. Whatever fails
    inside the block is an `ImageError`.
    """
    limits = limits or ImageLimits()
    name, data = _read_bytes(source, limits)
    with _translated(name, data):
        yield _loaded(name, data, limits) if load else _open(name, data, limits)


def upright_pixels(
    image: Image.Image, name: str = "the image", *, limits: ImageLimits | None = None
) -> Pixels:
    """Return the pixels of an opened image of Pillow as `decode_image` does.

    Of several frames the one that it stands at is taken. Raises `ImageError` as `decode_image`.
    """
    if _is_closed(image):
        raise ImageError(
            f"{name} was closed before its pixels were read. Call its load() before that, or give "
            "its path.",
            code="missing",
        )
    with _translated(name, b""):
        check_size(name, image.size, limits or ImageLimits())
        _load(image, limits or ImageLimits())
        return turn_upright(pixels_of(name, image), orientation_of(image))


def _is_closed(image: Image.Image) -> bool:
    """Tell an image of Pillow whose pixels are gone: Pillow itself raises anything then."""
    if getattr(image, "tile", None):  # its file is still to be read
        return getattr(image, "fp", None) is None
    try:
        return image.im is None
    except (AssertionError, ValueError):
        return True


def probe_image(source: str | Path | bytes, *, limits: ImageLimits | None = None) -> ImageInfo:
    """Read the header of one image, with the checks that `decode_image` makes before decoding."""
    limits = limits or ImageLimits()
    name, data = _read_bytes(source, limits)
    with _translated(name, data):
        image = _open(name, data, limits)
        return ImageInfo(str(image.format), image.mode, image.width, image.height, len(data))


def load_image(
    source: str | Path | bytes,
    size: tuple[int, int],
    channels: int,
    *,
    limits: ImageLimits | None = None,
) -> Floats32:
    """Decode one image to the size and channels of a model: (h, w, channels), float32 in [0, 1].

    Raises `ImageError` if it cannot be decoded.
    """
    return prepare_image(decode_image(source, limits=limits), size, channels)


def _read_bytes(
    source: str | Path | bytes, limits: ImageLimits, name: str | None = None
) -> tuple[str, bytes]:
    """Return a name for messages and the content, if it is not too much."""
    if isinstance(source, bytes):
        name, size_bytes = name or "the image", len(source)
    else:
        name = name or str(source)
        try:
            found = Path(source).stat()
        except (OSError, ValueError) as err:  # ValueError: a NUL in the name
            why = getattr(err, "strerror", None) or reason_of(err)
            raise ImageError(
                f"{name} cannot be opened: {why}. Check the path.", code="missing"
            ) from None
        if not stat.S_ISREG(found.st_mode):  # a pipe would keep its reader waiting
            raise ImageError(
                f"{name} is a folder, a pipe or a device, no file. Give a file.", code="missing"
            )
        size_bytes = found.st_size
    if size_bytes > limits.max_bytes:
        raise ImageError(
            f"{name} has {size_bytes:,} bytes; the limit is {limits.max_bytes:,}. If you trust it, "
            f"give --max-bytes {size_bytes} (in Python ImageReading(max_bytes=...)).",
            code="too_large",
        )
    if size_bytes == 0:
        raise ImageError(f"{name} is empty (0 bytes). Copy it again.", code="empty")
    return name, source if isinstance(source, bytes) else _content(Path(source))


def _content(path: Path) -> bytes:
    try:
        with within_memory(str(path)):
            return path.read_bytes()
    except OSError as err:
        raise ImageError(f"{path} cannot be opened: {err.strerror}.", code="missing") from None


@contextmanager
def _translated(name: str, data: bytes) -> Iterator[None]:
    """Turn everything that Pillow raises on hostile bytes into an `ImageError`."""
    try:
        with within_memory(name):
            yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise _unidentified(name, data) from None
    except Exception as err:  # noqa: BLE001 - decoders raise anything on damaged input
        reason = " ".join(str(err).split())[:160] or type(err).__name__
        cut = any(word in reason.lower() for word in ("truncated", "end of file", "not enough"))
        raise ImageError(
            f"{name} cannot be decoded: {reason}. Copy or write it again.",
            code="truncated" if cut else "unreadable",
        ) from None


def _unidentified(name: str, data: bytes) -> ImageError:
    """Tell a kind that is not read from a damaged image, and that from a file of another kind."""
    if data.startswith(_TIFF) and (kind := unread_kind(data)) is not None:
        return ImageError(
            f"{name} is a TIFF of {kind.words}; this kind is not supported. Save it as grey of 8 "
            "or 16 bits (unsigned, black is zero), or as RGB of 8.",
            code="unsupported",
        )
    if data.startswith(_BIG_BIGTIFF):
        return ImageError(
            f"{name} is a BigTIFF of big-endian numbers; this kind is not supported. Save it as a "
            "TIFF, or with little-endian numbers.",
            code="unsupported",
        )
    if data.startswith(_SIGNATURES):
        return ImageError(
            f"{name} begins like an image but its header is damaged. Copy or write it again.",
            code="unreadable",
        )
    return ImageError(
        f"{name} is no image: it begins with {data[:12]!r}. Give {', '.join(FORMATS)} files.",
        code="not_an_image",
    )


@contextmanager
def _quiet(limits: ImageLimits) -> Iterator[None]:
    """Silence Pillow's small talk, and let our limit stand for its own where ours is higher.

    Its bound on pixels is one for the whole process; it is given back at once.
    """
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        usual = Image.MAX_IMAGE_PIXELS
        if usual is not None and limits.max_pixels > usual:
            Image.MAX_IMAGE_PIXELS = limits.max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = usual


def _open(name: str, data: bytes, limits: ImageLimits) -> Image.Image:
    """Read the header and refuse what is too large, before any pixel is decoded."""
    with _quiet(limits):
        try:
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            few = _has_few_frames(image, limits.max_frames)
        except Image.DecompressionBombError as err:  # far above the limit
            size = re.search(r"\d+", str(err))
            raise too_large(name, int(size[0]) if size else 0, "", limits) from None
        check_size(name, image.size, limits)
        if not few:
            raise ImageError(
                f"{name} holds more than {number_of(limits.max_frames, 'frame')} of full size. "
                "Save the one that is meant as a file of its own, or take the first with "
                "--max-frames N (in Python ImageReading(max_frames=N)).",
                code="frames",
            )
    return image


def _loaded(name: str, data: bytes, limits: ImageLimits) -> Image.Image:
    image = _open(name, data, limits)
    _load(image, limits)
    if image.format == "PNG" and _PNG_END not in data:
        raise OSError("the file is truncated: the end of the PNG is missing")
    return image


def _load(image: Image.Image, limits: ImageLimits) -> None:
    """Decode the pixels; only TIFF warns on the way, and only TIFF waits for other threads."""
    if image.format != "TIFF":
        image.load()
        return
    with _quiet(limits):
        image.load()


def _has_few_frames(image: Image.Image, most: int) -> bool:
    """Go to the frame that is meant; a phone's JPEG with a second view (MPO) is one image."""
    if image.format == "TIFF":
        return take_full_page(image, most)
    return image.format == "MPO" or int(getattr(image, "n_frames", 1)) <= most


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 ... 8; 1 (upright) where it is absent or damaged."""
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # noqa: BLE001 - damaged metadata do not make the pixels bad
            return 1
    return value if value in _TURNS else 1


_TURNS: Final[dict[int, Callable[[AnyArray], AnyArray]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def turn_upright(pixels: AnyArray, orientation: int) -> AnyArray:
    """Turn pixels (H, W) or (H, W, 3) by their EXIF orientation."""
    return np.ascontiguousarray(_TURNS[orientation](pixels))
