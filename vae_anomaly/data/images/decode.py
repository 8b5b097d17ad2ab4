"""Decode images safely, and load them at one size and with the channels of a model.

`decode_image` looks at the header before it decodes anything and refuses what is too large. Every
fault is an `ImageError` with one of these codes:

=============  ==================================================================
missing        the file does not exist or cannot be opened
empty          0 bytes
not_an_image   no JPEG, PNG, TIFF, BMP or WebP, whatever the name says
truncated      the file ends before the image does
unreadable     damaged, or a kind of image that nobody here can decode
too_large      more pixels or bytes than `ImageLimits` allows
frames         an animation or a stack: which of its images is meant is not known
values         pixels that are NaN, negative or above 65535: their scale is not known
=============  ==================================================================
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from vae_anomaly.arrays import AnyArray, Bytes, Floats32
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.errors import ConfigError, ImageError
from vae_anomaly.words import reason_of

FORMATS: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_DEEP_MODES: Final = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_ORIENTATION: Final = 0x0112
_SIGNATURES: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
    b"BM",
    b"RIFF",
)
_PNG_END: Final = b"IEND\xaeB`\x82"  # without it Pillow takes what came before for the whole
_HEADER_LOCK = threading.Lock()  # warnings.catch_warnings is not thread-safe

Pixels = Bytes | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class ImageLimits:
    """The largest image that is decoded.

    Parameters
    ----------
    max_pixels : int
        Width times height. The default fits an 8192 x 8192 line scan; Pillow's own bound of 179
        million stands in any case.
    max_bytes : int
        Size of the file.
    max_frames : int
        Images in one file. Where more than one is allowed, the first is taken.
    """

    max_pixels: int = 8192 * 8192
    max_bytes: int = 256 * 2**20
    max_frames: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ConfigError(f"{name} must be at least 1. Got {value}.")


@dataclass(frozen=True)
class ImageInfo:
    """What the header of an image tells, without its pixels.

    Parameters
    ----------
    format : str
        "JPEG", "PNG", "TIFF", "BMP", "WEBP" or "MPO" (a JPEG with further views).
    mode : str
        Pillow's name for how pixels are stored, such as "L" or "RGB".
    width, height : int
        In pixels, before the image is turned upright.
    """

    format: str
    mode: str
    width: int
    height: int
    size_bytes: int


def decode_image(source: str | Path | bytes, *, limits: ImageLimits | None = None) -> Pixels:
    """Decode one image to upright pixels, grey or RGB.

    Parameters
    ----------
    source : path or bytes
    limits : ImageLimits, optional

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), uint8 or uint16
        uint16 where the file has more than 8 bits of grey. Transparency lies over white; CMYK,
        palette, YCbCr and Lab become RGB, a palette of greys grey. Floating-point pixels must lie
        in [0, 1], which is spread over 16 bits, or else in [0, 65535], which is rounded.

    Raises
    ------
    ImageError
        Whatever is wrong with the file; see the codes in the module's docstring.
    """
    limits = limits or ImageLimits()
    name, data = _read_bytes(source, limits)
    with _translated(name, data):
        image = _open(name, data, limits)
        _load(image)
        if image.format == "PNG" and _PNG_END not in data:
            raise OSError("the file is truncated: the end of the PNG is missing")
        return _upright(_pixels(name, image), _orientation(image))


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


def _read_bytes(source: str | Path | bytes, limits: ImageLimits) -> tuple[str, bytes]:
    """Return a name for messages and the content, if it is not too much."""
    if isinstance(source, bytes):
        name, size_bytes = "the image", len(source)
    else:
        name = str(source)
        try:
            size_bytes = Path(source).stat().st_size
        except (OSError, ValueError) as err:  # ValueError: a NUL in the name
            raise ImageError(
                f"{name!r} cannot be opened: {reason_of(err)}. Check the path.", code="missing"
            ) from None
    if size_bytes > limits.max_bytes:
        raise ImageError(
            f"{name} has {size_bytes:,} bytes; the limit is {limits.max_bytes:,}. "
            "Raise ImageLimits.max_bytes if you trust it.",
            code="too_large",
        )
    if size_bytes == 0:
        raise ImageError(f"{name} is empty (0 bytes). Copy it again.", code="empty")
    return name, source if isinstance(source, bytes) else _content(Path(source))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise ImageError(f"{path} cannot be opened: {err.strerror}.", code="missing") from None


@contextmanager
def _translated(name: str, data: bytes) -> Iterator[None]:
    """Turn everything that Pillow raises on hostile bytes into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise _unidentified(name, data) from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as err:
        raise ImageError(
            f"{name} is refused: {err} Make it smaller or cut it into tiles.", code="too_large"
        ) from None
    except Exception as err:  # noqa: BLE001 - decoders raise anything on damaged input
        reason = " ".join(str(err).split())[:160] or type(err).__name__
        cut = any(word in reason.lower() for word in ("truncated", "end of file", "not enough"))
        raise ImageError(
            f"{name} cannot be decoded: {reason}. Copy or write it again.",
            code="truncated" if cut else "unreadable",
        ) from None


def _unidentified(name: str, data: bytes) -> ImageError:
    """Tell a damaged image from a file of another kind by its first bytes."""
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
def _bombs_are_errors(limits: ImageLimits) -> Iterator[None]:
    """Make Pillow's warning of a decompression bomb an error, and silence its small talk."""
    allowed = limits.max_pixels > (Image.MAX_IMAGE_PIXELS or 0)
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("ignore" if allowed else "error", Image.DecompressionBombWarning)
        yield


def _open(name: str, data: bytes, limits: ImageLimits) -> Image.Image:
    """Read the header and refuse what is too large, before any pixel is decoded."""
    with _bombs_are_errors(limits):
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > limits.max_pixels:
            raise ImageError(
                f"{name} has {image.width} x {image.height} pixels; the limit is "
                f"{limits.max_pixels:,}. Cut it into tiles, or raise ImageLimits.max_pixels.",
                code="too_large",
            )
        if _has_more_frames(image, limits.max_frames):
            raise ImageError(
                f"{name} holds more than {limits.max_frames} frame(s). Save the one that is meant "
                "as a file of its own, or raise ImageLimits.max_frames to take the first.",
                code="frames",
            )
    return image


def _load(image: Image.Image) -> None:
    """Decode the pixels; only TIFF warns on the way, and only TIFF waits for other threads."""
    if image.format != "TIFF":
        image.load()
        return
    with _HEADER_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.load()


def _has_more_frames(image: Image.Image, most: int) -> bool:
    """Tell whether a file holds more frames; a phone's JPEG with a second view (MPO) is one."""
    if image.format == "MPO":
        return False
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1)) > most
    try:
        image.seek(most)  # counting all pages of a hostile file could take for ever
    except EOFError:
        image.seek(0)
        return False
    return True


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where it is absent or damaged."""
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


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    return np.ascontiguousarray(_TURNS[orientation](pixels))


def _pixels(name: str, image: Image.Image) -> Pixels:
    """Convert a loaded image of any mode to grey or RGB pixels."""
    if image.mode in _DEEP_MODES:
        return _deep_grey(name, image)
    if image.mode == "LAB":
        return np.asarray(_lab_to_rgb(image))
    if image.mode in {"1", "L", "RGB"} and "transparency" not in image.info:
        return np.asarray(image.convert("L") if image.mode == "1" else image)
    if image.has_transparency_data:
        return _over_white(image)
    return _without_colour_if_grey(image.convert("RGB"), image.mode)


def _deep_grey(name: str, image: Image.Image) -> npt.NDArray[np.uint16]:
    """Return more than 8 bits of grey as uint16, on a scale that does not depend on the image."""
    values = np.asarray(image)
    if values.dtype.kind == "f" and np.isfinite(values).all() and values.max() <= 1.0:
        values = values * np.float64(65535)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        raise ImageError(
            f"{name} has pixel values outside 0 to 65535 (or NaN). Rescale it to 16 bits.",
            code="values",
        )
    return np.round(values).astype(np.uint16)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # noqa: S101 - only None where converting in place
    return converted


def _over_white(image: Image.Image) -> Pixels:
    """Lay a transparent image over white, in whole numbers."""
    rgba = np.asarray(image.convert("RGBA")).astype(np.uint32)
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    blended = ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return blended[..., 0].copy() if image.mode in {"LA", "La", "L"} else _grey_if_grey(blended)


def _without_colour_if_grey(rgb: Image.Image, mode: str) -> Pixels:
    pixels = np.asarray(rgb)
    return _grey_if_grey(pixels) if mode in {"P", "PA"} else pixels


def _grey_if_grey(pixels: Bytes) -> Bytes:
    """Drop two channels where all three are the same."""
    first = pixels[..., 0]
    same = bool((pixels[..., 1] == first).all() and (pixels[..., 2] == first).all())
    return np.ascontiguousarray(first) if same else pixels
