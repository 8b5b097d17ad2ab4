"""TIFFs as cameras and laboratories write them: made here tag by tag."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vae_anomaly.data.images.decode import ImageLimits, decode_image
from vae_anomaly.errors import ImageError

Array = npt.NDArray[np.generic]
FORMATS = {"u": 1, "i": 2, "f": 3}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2


def page(pixels: Array, photometric: int = BLACK_IS_ZERO, order: str = "<", **tags: int) -> Page:
    """Return one page; ``subfile`` and ``extra`` are further tags."""
    return Page(pixels, photometric, order, tags)


class Page:
    """Pixels (H, W) or (H, W, C) with their tags."""

    def __init__(self, pixels: Array, photometric: int, order: str, tags: dict[str, int]) -> None:
        self.data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        height, width = pixels.shape[:2]
        bands = 1 if pixels.ndim == 2 else pixels.shape[2]
        self.order = order
        self.tags: dict[int, tuple[int, list[int]]] = {
            254: (4, [tags.get("subfile", 0)]),
            256: (4, [width]),
            257: (4, [height]),
            258: (3, [8 * pixels.dtype.itemsize] * bands),
            259: (3, [1]),
            262: (3, [photometric]),
            273: (4, [0]),
            277: (3, [bands]),
            278: (4, [height]),
            279: (4, [len(self.data)]),
            339: (3, [FORMATS[pixels.dtype.kind]] * bands),
        }
        if "planar" in tags:
            self.tags[284] = (3, [tags["planar"]])
        if "extra" in tags:
            self.tags[338] = (3, [tags["extra"]])


def tiff(*pages: Page) -> bytes:
    """Write pages one after another."""
    order = pages[0].order
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8))
    for number, one in enumerate(pages):
        _append(out, one, last=number == len(pages) - 1)
    return bytes(out)


def _append(out: bytearray, one: Page, *, last: bool) -> None:
    order, entries = one.order, sorted(one.tags.items())
    after = len(out) + 2 + 12 * len(entries) + 4
    body, table = bytearray(), bytearray()
    for tag, (kind, values) in entries:
        shape = f"{order}{len(values)}{'H' if kind == 3 else 'I'}"
        if tag == 273:
            start = after + sum(_spill(v, k) for _, (k, v) in entries)
            values = [start + offset for offset in values]
        packed = struct.pack(shape, *values)
        if len(packed) > 4:
            where = after + len(body)
            body += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(f"{order}I", where)
        table += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    data = one.data + b"\0" * (len(one.data) % 2)
    following = 0 if last else after + len(body) + len(data)
    out += struct.pack(f"{order}H", len(entries)) + table + struct.pack(f"{order}I", following)
    out += body + data


def _spill(values: Sequence[int], kind: int) -> int:
    size = len(values) * (2 if kind == 3 else 4)
    return size + size % 2 if size > 4 else 0


def ramp(dtype: type, top: float, shape: tuple[int, int] = (24, 30)) -> Array:
    """Return an image that rises from 0 to a top."""
    return np.linspace(0, top, shape[0] * shape[1]).reshape(shape).astype(dtype)


def refusal(data: bytes, tmp_path: Path) -> ImageError:
    path = tmp_path / "odd.tif"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"odd\.tif") as caught:
        decode_image(path)
    return caught.value


@pytest.mark.parametrize("order", ["<", ">"])
def test_8_bits_with_white_at_zero_come_out_as_they_look(order: str) -> None:
    shown = ramp(np.uint8, 255)
    data = tiff(page(255 - shown, WHITE_IS_ZERO, order))
    np.testing.assert_array_equal(decode_image(data), shown)


def test_16_bits_with_white_at_zero_come_out_as_they_look() -> None:
    shown = ramp(np.uint16, 65535)
    decoded = decode_image(tiff(page(65535 - shown, WHITE_IS_ZERO)))
    np.testing.assert_allclose(decoded, shown / 65535, atol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_shares_of_white_with_white_at_zero_come_out_as_they_look(order: str) -> None:
    shown = ramp(np.float32, 1)
    decoded = decode_image(tiff(page(1 - shown, WHITE_IS_ZERO, order)))
    np.testing.assert_allclose(decoded, shown, atol=1e-5)


@pytest.mark.parametrize(
    ("pixels", "photometric", "said"),
    [
        (ramp(np.float32, 4095), WHITE_IS_ZERO, "not known"),
        (ramp(np.int8, 100), BLACK_IS_ZERO, "8-bit signed"),
        (ramp(np.int16, 900) - np.int16(400), BLACK_IS_ZERO, "from -400 to 500"),
        (ramp(np.float32, 2) - np.float32(1), BLACK_IS_ZERO, "from -1 to 1"),
        (ramp(np.float64, 1), BLACK_IS_ZERO, "64-bit floating-point grey"),
        (ramp(np.float16, 1), BLACK_IS_ZERO, "16-bit floating-point grey"),
        (ramp(np.uint64, 900), BLACK_IS_ZERO, "64-bit unsigned grey"),
        (np.zeros((9, 9, 5), np.uint8), BLACK_IS_ZERO, "5 bands of 8-bit unsigned"),
        (np.zeros((9, 9, 2), np.uint16), BLACK_IS_ZERO, "2 bands of 16-bit unsigned"),
        (np.zeros((9, 9, 3), np.float32), RGB, "3 bands of 32-bit floating-point"),
    ],
    ids=["counts, white is zero", "int8", "int16", "negative float", "float64", "float16",
         "uint64", "five bands", "LA16", "RGB float"],
)  # fmt: skip
def test_what_is_not_read_is_called_what_it_is(
    tmp_path: Path, pixels: Array, photometric: int, said: str
) -> None:
    tags = {"extra": 2} if pixels.ndim == 3 and pixels.shape[2] == 2 else {}
    error = refusal(tiff(page(pixels, photometric, **tags)), tmp_path)
    assert said in str(error)
    assert "damaged" not in str(error)
    assert error.code in {"unsupported", "values"}


def planes(dtype: type, top: float) -> tuple[bytes, Array]:
    """Return a colour TIFF whose bands lie one after the other, and its pixels."""
    grey = ramp(dtype, top, (24, 30))
    pixels = np.stack([grey, grey // 2, grey // 3], axis=2)
    one = page(pixels, RGB, planar=2)
    one.data = np.moveaxis(pixels, 2, 0).tobytes()
    third = len(one.data) // 3
    one.tags[273], one.tags[279] = (4, [0, third, 2 * third]), (4, [third] * 3)
    return tiff(one), pixels


def test_deep_bands_one_after_the_other_are_not_taken_for_8_bits(tmp_path: Path) -> None:
    shallow, pixels = planes(np.uint8, 255)
    np.testing.assert_array_equal(decode_image(shallow), pixels)
    error = refusal(planes(np.uint16, 65535)[0], tmp_path)
    assert "3 bands of 16-bit unsigned numbers, one after the other" in str(error)
    assert "PlanarConfiguration 1" in str(error)


def test_32_bits_without_a_sign_have_none_in_the_message(tmp_path: Path) -> None:
    error = refusal(tiff(page(ramp(np.uint32, 4e9))), tmp_path)
    assert "from 0 to 4e+09" in str(error)
    counts = ramp(np.uint32, 4095)
    np.testing.assert_array_equal(decode_image(tiff(page(counts))), counts)


def test_a_bigtiff_of_big_endian_numbers_is_not_called_damaged(tmp_path: Path) -> None:
    error = refusal(b"MM\x00+\x00\x08\x00\x00" + bytes(64), tmp_path)
    assert (error.code, "big-endian" in str(error)) == ("unsupported", True)


def test_a_damaged_header_is_called_damaged(tmp_path: Path) -> None:
    data = tiff(page(ramp(np.float64, 1)))
    assert refusal(data[:60], tmp_path).code == "unreadable"


def test_signed_counts_without_negative_ones_are_read() -> None:
    counts = ramp(np.int16, 4095)
    np.testing.assert_array_equal(decode_image(tiff(page(counts))), counts)


LARGE, SMALL = ramp(np.uint8, 255, (60, 80)), ramp(np.uint8, 200, (15, 20))


@pytest.mark.parametrize(
    "pages",
    [
        [page(LARGE), page(SMALL)],
        [page(SMALL), page(LARGE)],
        [page(LARGE), page(LARGE[:45, :60], subfile=1)],
        [page(LARGE, subfile=0), page(LARGE, subfile=4)],
        [page(LARGE), page(LARGE[::2, ::2]), page(LARGE[::4, ::4])],
    ],
    ids=["thumbnail last", "thumbnail first", "marked as reduced", "mask", "pyramid"],
)
def test_the_page_of_full_size_is_taken(pages: list[Page]) -> None:
    np.testing.assert_array_equal(decode_image(tiff(*pages)), LARGE)


def test_a_stack_with_a_thumbnail_is_still_a_stack(tmp_path: Path) -> None:
    data = tiff(page(SMALL), page(LARGE), page(255 - LARGE))
    assert refusal(data, tmp_path).code == "frames"
    np.testing.assert_array_equal(decode_image(data, limits=ImageLimits(max_frames=2)), LARGE)


def test_the_limit_holds_for_the_page_of_full_size() -> None:
    data = tiff(page(SMALL), page(LARGE))
    with pytest.raises(ImageError, match=r"80 x 60.*--max-pixels 4800"):
        decode_image(data, limits=ImageLimits(max_pixels=4799))


def test_an_image_far_above_what_pillow_allows_is_read_where_the_limit_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = tiff(page(LARGE))
    with pytest.raises(ImageError, match="the limit is 90"):
        decode_image(data, limits=ImageLimits(max_pixels=90))
    np.testing.assert_array_equal(decode_image(data, limits=ImageLimits(max_pixels=4800)), LARGE)
    assert Image.MAX_IMAGE_PIXELS == 100
