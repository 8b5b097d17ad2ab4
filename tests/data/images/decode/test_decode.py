from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vae_anomaly.data.images.decode import ImageLimits, decode_image, probe_image
from vae_anomaly.errors import ConfigError, ImageError

SHAPE = (48, 40)


def smooth_surface(dtype: type = np.uint8, channels: int | None = None) -> npt.NDArray[np.generic]:
    """Return a smooth image with a bright corner, so that turns can be told apart."""
    top = np.iinfo(dtype).max
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    grey = (rows / SHAPE[0] * 0.4 + columns / SHAPE[1] * 0.2 + (rows + columns < 12) * 0.4) * top
    grey = grey.astype(dtype)
    return grey if channels is None else np.stack([grey // (c + 1) for c in range(channels)], -1)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def as_bytes(array: npt.NDArray[np.generic], form: str = "PNG", **options: object) -> bytes:
    return encoded(Image.fromarray(array), form, **options)


def code_of(data: bytes | Path, limits: ImageLimits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, limits=limits)
    assert str(caught.value).endswith("."), caught.value
    return caught.value.code


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("channels", [None, 3])
def test_pixels_come_back_as_they_were(form: str, channels: int | None) -> None:
    array = smooth_surface(channels=channels)
    decoded = decode_image(as_bytes(array, form, **({"lossless": True} if form == "WEBP" else {})))
    if form == "WEBP" and channels is None:
        decoded = decoded[..., 0]  # WebP knows no grey
    np.testing.assert_array_equal(decoded, array)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_kept(form: str) -> None:
    array = smooth_surface(np.uint16)
    decoded = decode_image(as_bytes(array, form))
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(decoded, array)


def test_big_endian_sixteen_bits_are_kept() -> None:
    array = smooth_surface(np.uint16)
    image = Image.frombytes("I;16B", SHAPE[::-1], array.astype(">u2").tobytes())
    np.testing.assert_array_equal(decode_image(encoded(image, "TIFF")), array)


def test_thirty_two_bit_pixels_are_sixteen_bits() -> None:
    array = smooth_surface(np.uint16)
    np.testing.assert_array_equal(decode_image(as_bytes(array.astype(np.int32), "TIFF")), array)


def test_floating_point_pixels_from_0_to_1_are_shares_of_white() -> None:
    unit = smooth_surface(np.uint16).astype(np.float32) / 65535
    decoded = decode_image(as_bytes(unit, "TIFF"))
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, unit, atol=1e-7)


def test_floating_point_counts_are_those_of_sixteen_bits() -> None:
    counts = smooth_surface(np.uint16) >> 4
    for noise in (0.0, 0.3):
        decoded = decode_image(as_bytes((counts + noise).astype(np.float32), "TIFF"))
        assert decoded.dtype == np.uint16
        np.testing.assert_array_equal(decoded, counts)


def test_floating_point_pixels_a_little_above_1_are_neither(tmp_path: Path) -> None:
    path = tmp_path / "over.tif"
    unit = smooth_surface(np.uint16).astype(np.float32) / 65535
    Image.fromarray(unit * np.float32(1.0003 / unit.max())).save(path)
    with pytest.raises(ImageError, match=r"over\.tif.* to 1\.0003.*not known") as caught:
        decode_image(path)
    assert caught.value.code == "values"


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1e6])
def test_floating_point_pixels_of_unknown_scale_are_refused(value: float) -> None:
    array = smooth_surface().astype(np.float32)
    array[3, 3] = value
    assert code_of(as_bytes(array, "TIFF")) == "values"


MODES = {
    "1": (2, np.uint8),
    "L": (2, np.uint8),
    "LA": (2, np.uint8),
    "P": (3, np.uint8),
    "RGB": (3, np.uint8),
    "RGBA": (3, np.uint8),
    "CMYK": (3, np.uint8),
    "YCbCr": (3, np.uint8),
    "LAB": (3, np.uint8),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_grey_or_colour(mode: str) -> None:
    colour = Image.fromarray(smooth_surface(channels=3))
    image = Image.new("LAB", colour.size, 128) if mode == "LAB" else colour.convert(mode)
    form = "TIFF" if mode in {"CMYK", "YCbCr", "LAB"} else "PNG"
    decoded = decode_image(encoded(image, form))
    dimensions, dtype = MODES[mode]
    assert (decoded.ndim, decoded.dtype) == (dimensions, dtype)
    assert decoded.shape[:2] == SHAPE


def test_cmyk_jpeg_looks_like_its_colours() -> None:
    colour = Image.fromarray(smooth_surface(channels=3))
    decoded = decode_image(encoded(colour.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - smooth_surface(channels=3).astype(int)).mean() < 6


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparent_is_white(mode: str) -> None:
    if mode == "P":
        data = encoded(Image.new("P", (8, 8), 0), "PNG", transparency=0)
    else:
        data = encoded(Image.new(mode, (8, 8), 0), "PNG")
    assert (decode_image(data) == 255).all()


def test_half_transparent_black_is_grey() -> None:
    data = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), "PNG")
    assert (decode_image(data) == 127).all()


def test_a_palette_of_greys_is_grey() -> None:
    decoded = decode_image(encoded(Image.fromarray(smooth_surface()).convert("P"), "PNG"))
    np.testing.assert_array_equal(decoded, smooth_surface())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_undone(form: str, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(smooth_surface(channels=3))
    data = encoded(image, form, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    np.testing.assert_array_equal(decode_image(data), expected)


def test_sixteen_bit_images_are_turned_upright_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decode_image(as_bytes(smooth_surface(np.uint16), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded, np.rot90(smooth_surface(np.uint16), -1))


def test_damaged_exif_does_not_make_the_pixels_bad() -> None:
    data = as_bytes(smooth_surface(channels=3), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode_image(data).shape == (*SHAPE, 3)


def noisy_bytes(form: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return as_bytes(noise, form)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("cut", [0.5, 0.95, -2])
def test_a_file_cut_short_is_refused(form: str, cut: float) -> None:
    data = noisy_bytes(form)
    shorter = data[: int(len(data) * cut) if cut > 0 else int(cut)]
    assert code_of(shorter) in {"truncated", "unreadable"}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_a_file_cut_at_half_is_called_truncated(form: str) -> None:
    data = noisy_bytes(form)
    assert code_of(data[: len(data) // 2]) == "truncated"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"this is a text file\n", "not_an_image"),
        (bytes(1000), "not_an_image"),
        (np.random.default_rng(1).bytes(5000), "not_an_image"),
        (b"GIF89a" + bytes(50), "not_an_image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "unreadable"),
        (b"\xff\xd8\xff" + bytes(50), "unreadable"),
    ],
    ids=["empty", "text", "zeros", "noise", "gif", "png header", "jpeg header"],
)
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    assert code_of(data) == code
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"x\.png") as caught:
        decode_image(path)
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["absent.png", ".", "nul\0.png"])
def test_a_file_that_is_not_there_is_missing(tmp_path: Path, name: str) -> None:
    assert code_of(tmp_path / name) == "missing"


def test_the_name_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "really_a_jpeg.png"
    path.write_bytes(as_bytes(smooth_surface(), "JPEG"))
    assert decode_image(path).shape == SHAPE
    assert probe_image(path).format == "JPEG"


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_animations_and_stacks_are_refused_unless_allowed(form: str) -> None:
    first, second = Image.fromarray(smooth_surface(channels=3)), Image.new("RGB", SHAPE[::-1])
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(first, form, save_all=True, append_images=[second], **options)
    assert code_of(data) == "frames"
    decoded = decode_image(data, limits=ImageLimits(max_frames=2))
    np.testing.assert_array_equal(decoded, smooth_surface(channels=3))


def bomb(side: int) -> bytes:
    """Return a PNG that declares side x side grey pixels, all black."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compressobj(9)
    body = b"".join(pixels.compress(bytes(side + 1)) for _ in range(min(side, 500)))
    body += pixels.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8193, 10_000, 20_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side: int) -> None:
    data = bomb(side)
    assert len(data) < 100_000
    assert code_of(data) == "too_large"
    with pytest.raises(ImageError):
        probe_image(data)


def test_limits_on_pixels_and_bytes_hold() -> None:
    data = as_bytes(smooth_surface())
    pixels = SHAPE[0] * SHAPE[1]
    decode_image(data, limits=ImageLimits(max_pixels=pixels, max_bytes=len(data)))
    assert code_of(data, ImageLimits(max_pixels=pixels - 1)) == "too_large"
    assert code_of(data, ImageLimits(max_bytes=len(data) - 1)) == "too_large"


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_pixels must be at least 1"):
        ImageLimits(max_pixels=0)


SEEDS = {form: noisy_bytes(form) for form in ("JPEG", "PNG", "TIFF", "BMP", "WEBP")}


@given(
    form=st.sampled_from(sorted(SEEDS)),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    length=st.floats(0.05, 1.0),
)
@settings(max_examples=120, deadline=None)
def test_damaged_bytes_decode_or_raise_an_image_error(
    form: str, flips: list[tuple[int, int]], length: float
) -> None:
    data = bytearray(SEEDS[form])
    for place, value in flips:
        data[place] = value
    try:
        decoded = decode_image(bytes(data[: int(len(data) * length)]))
    except ImageError:
        return
    assert decoded.dtype in {np.dtype(t) for t in (np.uint8, np.uint16, np.float32)}


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [decode_image(SEEDS["TIFF"]) for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def png_of_zeros(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packed = zlib.compress(bytes((width + 1) * height), 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )


@pytest.mark.parametrize(("width", "height"), [(67_000_000, 1), (1, 67_000_000)])
def test_an_image_far_too_long_is_refused_by_its_header(width: int, height: int) -> None:
    data = png_of_zeros(1, 1)
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    with pytest.raises(
        ImageError, match=rf"{width} x {height} pixels; no side .* 65,536"
    ) as caught:
        decode_image(data)
    assert caught.value.code == "too_large"


def test_a_long_image_is_read_up_to_the_limit_that_its_message_names() -> None:
    data = png_of_zeros(3, 1000)
    with pytest.raises(ImageError, match=r"--max-pixels (\d+)") as caught:
        decode_image(data, limits=ImageLimits(max_pixels=3000))
    enough = int(re.search(r"--max-pixels (\d+)", str(caught.value))[1])
    assert decode_image(data, limits=ImageLimits(max_pixels=enough)).shape == (1000, 3)


def test_a_lack_of_memory_names_the_image_and_is_no_damage(monkeypatch) -> None:
    def load(image: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(ImageError, match=r"a\.png takes more memory") as caught:
        decode_image(png_of_zeros(3, 4), name="a.png")
    assert caught.value.code == "memory"
