"""Masks as files: every way of storing the same outline is read alike, or named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from vae_anomaly.data.images.masks import look_inverted, looks_like_mask, read_mask
from vae_anomaly.errors import ImageError

TRUTH = np.zeros((48, 80), np.bool_)
TRUTH[16:32, 24:64] = True
GREY = Image.fromarray(TRUTH.astype(np.uint8) * np.uint8(255))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "part.jpg"
    Image.new("L", (80, 48), 90).save(path)
    return path


def _palette(*colours: tuple[int, int, int], **save: object) -> Image.Image:
    image = Image.fromarray(TRUTH.astype(np.uint8), mode="P")
    image.putpalette([value for colour in colours for value in colour])
    image.info.update(save)
    return image


def _with_alpha(mode: str) -> Image.Image:
    image = GREY.convert("RGBA")
    image.putalpha(GREY)
    return image.convert(mode)


WAYS = {
    "1 bit": ("m.png", GREY.convert("1"), {}),
    "grey": ("m.png", GREY, {}),
    "bmp": ("m.bmp", GREY, {}),
    "16 bits": ("m.png", Image.fromarray(TRUTH.astype(np.uint16) * np.uint16(65535)), {}),
    "tiff of shares": ("m.tif", Image.fromarray(TRUTH.astype(np.float32)), {}),
    "class 1": ("m.png", Image.fromarray(TRUTH.astype(np.uint8)), {}),
    "colour": ("m.png", Image.merge("RGB", (GREY, GREY.point(lambda _: 0), GREY)), {}),
    "jpeg": ("m.jpg", GREY, {"quality": 60}),
    "palette": ("m.png", _palette((0, 0, 0), (128, 0, 0)), {}),
    "palette on transparent": ("m.png", _palette((255, 0, 0), (255, 0, 0)), {"transparency": 0}),
    "RGBA": ("m.png", _with_alpha("RGBA"), {}),
    "grey with alpha": ("m.png", _with_alpha("LA"), {}),
    "half size": ("m.png", GREY.resize((40, 24), Image.Resampling.NEAREST), {}),
    "double size": ("m.png", GREY.resize((160, 96), Image.Resampling.NEAREST), {}),
}


@pytest.mark.parametrize(("name", "image", "how"), WAYS.values(), ids=WAYS)
def test_every_way_of_storing_says_the_same(name, image, how, part, tmp_path):
    image.save(tmp_path / name, **how)
    outline = read_mask(tmp_path / name, part)
    rows, columns = (np.arange(n) * m // n for n, m in zip((48, 80), outline.shape, strict=True))
    np.testing.assert_array_equal(outline[np.ix_(rows, columns)], TRUTH)


def test_a_folder_of_masks_is_laid_together(part, tmp_path):
    (tmp_path / "part").mkdir()
    for i, half in enumerate((slice(0, 40), slice(40, 80))):
        one = np.zeros((48, 80), np.uint8)
        one[:, half] = TRUTH[:, half] * 255
        Image.fromarray(one).save(tmp_path / "part" / f"{i}.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "part", part), TRUTH)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_drawn_before_the_turn_is_turned_with_its_image(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    marked = Image.fromarray(
        np.where(TRUTH, 255, 0).astype(np.uint8) | np.eye(48, 80, dtype=np.uint8)
    )
    marked.save(tmp_path / "part.png", exif=exif)
    corner = np.zeros((48, 80), np.uint8)
    corner[:10, :20] = 255
    Image.fromarray(corner).save(tmp_path / "before.png")
    with_turn = Image.fromarray(corner)
    with_turn.getexif()[0x0112] = orientation
    after = ImageOps.exif_transpose(with_turn)
    after.save(tmp_path / "after.png")
    expected = np.asarray(after) > 0
    for name in ("before.png", "after.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, tmp_path / "part.png"), expected)


def test_a_mask_that_fits_before_and_after_the_turn_is_named(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("L", (80, 48)).save(tmp_path / "part.jpg", exif=exif)
    corner = np.zeros((48, 80), np.uint8)
    corner[:10, :20] = 255
    Image.fromarray(corner).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=r"mask.png fits part.jpg before .* and after"):
        read_mask(tmp_path / "mask.png", tmp_path / "part.jpg")
    alike = np.zeros((48, 80), np.uint8)
    alike[16:32, 30:50] = 255
    Image.fromarray(alike).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(
        read_mask(tmp_path / "mask.png", tmp_path / "part.jpg"), alike > 0
    )


@pytest.mark.parametrize("size", [(79, 48), (48, 80), (120, 72), (16, 6)])
def test_a_mask_of_another_size_is_named_with_both_sizes(size, part, tmp_path):
    GREY.resize(size, Image.Resampling.NEAREST).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=rf"is {size[0]} x {size[1]}, its image 80 x 48") as caught:
        read_mask(tmp_path / "mask.png", part)
    assert caught.value.code == "mask_size"


def test_a_mask_that_is_turned_itself_must_fit_as_well(part, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    GREY.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_mask(tmp_path / "turned.png", part), TRUTH)
    GREY.save(tmp_path / "wrong.png", exif=exif)
    with pytest.raises(ImageError, match="is 48 x 80, its image 80 x 48"):
        read_mask(tmp_path / "wrong.png", part)


def test_a_mask_that_is_full_is_named_with_the_remedy(part, tmp_path):
    Image.new("L", (80, 48), 255).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=r"cannot be read as a mask: .* 255 all over. Save"):
        read_mask(tmp_path / "mask.png", part)


def test_a_set_is_inverted_if_most_of_its_masks_are():
    assert look_inverted([~TRUTH, ~TRUTH, TRUTH])
    assert not look_inverted([~TRUTH, TRUTH, TRUTH])
    assert not look_inverted([])


def test_photos_do_not_look_like_masks(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.linspace(30, 220, 80)[None] + rng.normal(0, 3, (48, 80))
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "photo.png")
    GREY.save(tmp_path / "mask.png")
    Image.new("L", (80, 48)).save(tmp_path / "blank.png")
    found = [looks_like_mask(tmp_path / f"{name}.png") for name in ("photo", "mask", "blank")]
    assert found == [False, True, True]
