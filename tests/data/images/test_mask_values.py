"""Which pixels of a mask are defective, by its values alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from vae_anomaly.data.images.mask_values import defective_by_alpha, defective_pixels
from vae_anomaly.errors import ImageError

TRUTH = np.zeros((60, 80), np.bool_)
TRUTH[20:40, 30:60] = True
CRACK = np.zeros((60, 80), np.bool_)
CRACK[5:50, 40] = True


def classes(numbers) -> np.ndarray:
    values = np.zeros((60, 80), np.uint8)
    for i, number in enumerate(numbers):
        values[20:40, 30 + 10 * i : 40 + 10 * i] = number
    return values


@pytest.mark.parametrize(
    "values",
    [
        TRUTH * np.uint8(255),
        TRUTH * np.uint8(1),
        TRUTH * np.uint16(65535),
        TRUTH * np.uint16(4095),
        classes([1, 2, 3]),
        classes([37, 38, 39]),
        classes([85, 170, 255]),
        classes([128, 128, 255]),
        np.where(TRUTH, 255, 100).astype(np.uint8),
    ],
    ids=[
        "8 bits",
        "ones",
        "16 bits",
        "12 bits",
        "classes",
        "many classes",
        "shades",
        "void",
        "grey",
    ],
)
def test_levels_are_the_defect(values):
    np.testing.assert_array_equal(defective_pixels(values), TRUTH)


def test_soft_edges_end_half_way():
    soft = ndimage.zoom(TRUTH.astype(float), 4, order=1).clip(0, 1) * 255
    found = defective_pixels(np.round(soft).astype(np.uint8))
    np.testing.assert_array_equal(found, np.round(soft) > 127.5)
    assert found.sum() == pytest.approx(16 * TRUTH.sum(), rel=0.06)


@pytest.mark.parametrize("truth", [TRUTH, CRACK], ids=["area", "line"])
def test_noise_around_black_and_white_is_no_defect(truth):
    rng = np.random.default_rng(0)
    near = ndimage.binary_dilation(truth, iterations=8) & ~ndimage.binary_erosion(
        truth, iterations=4
    )
    noise = rng.integers(0, 25, truth.shape) * near  # as JPEG has it around edges
    noise[:, :9] = rng.integers(0, 4, (60, 1))  # and some that fills areas
    noise[25:35, 40:50] = 3
    values = np.where(truth, 255 - noise, noise).astype(np.uint8)
    np.testing.assert_array_equal(defective_pixels(values, lossy=True), truth)
    np.testing.assert_array_equal(defective_pixels(values), truth)


def test_lines_too_thin_to_be_flat_anywhere_are_found():
    np.testing.assert_array_equal(defective_pixels(CRACK * np.uint8(255), lossy=True), CRACK)
    soft = ndimage.gaussian_filter(CRACK.astype(float), 0.5) * 255
    found = defective_pixels(np.round(soft).astype(np.uint8))
    assert (found[5:50, 40]).all()
    assert found.sum() == 45


def test_a_blank_mask_has_no_defect():
    assert not defective_pixels(np.zeros((9, 9), np.uint8)).any()


def test_photos_of_parts_on_white_are_no_masks():
    rng = np.random.default_rng(0)
    part = np.full((120, 120), 255.0)
    part[20:100, 20:100] = 60 + rng.normal(0, 5, (80, 80))
    for pixels in (part, 255 - part, part / 5):
        with pytest.raises(ImageError, match=r"as in a photo|no clear levels"):
            defective_pixels(pixels.clip(0, 255).astype(np.uint8), lossy=True)


def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    return ndimage.gaussian_filter(rng.normal(size=(60, 80)), 9) * 2000 + 120


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (np.full((9, 9), 255, np.uint8), "mask_full"),
        (photo().clip(0, 255).astype(np.uint8), "mask_values"),
        (np.where(TRUTH, 255, photo().clip(0, 200)).astype(np.uint8), "mask_values"),
        (classes([1, 1, 255]), "mask_values"),
    ],
    ids=["white", "photo", "photo with a white area", "class 1 and void, or noise"],
)
def test_what_is_not_clear_is_refused(values, code):
    with pytest.raises(ImageError) as caught:
        defective_pixels(values)
    assert caught.value.code == code


def test_faint_noise_of_a_jpeg_is_no_defect():
    values = np.zeros((60, 80), np.uint8)
    values[::7, ::5] = 30
    with pytest.raises(ImageError):
        defective_pixels(values, lossy=True)


def rgba(colour, alpha) -> np.ndarray:
    colours = np.broadcast_to(np.asarray(colour, np.uint8), (60, 80, 3))
    opaque = np.broadcast_to(np.asarray(alpha, np.uint8), (60, 80))
    return np.concatenate([colours, opaque[..., None]], axis=2)


SEEN = TRUTH * np.uint8(255)
OTHER = np.repeat((~TRUTH * np.uint8(255))[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "mask",
    [
        rgba((255, 255, 255), SEEN),
        rgba((0, 0, 0), SEEN),
        rgba((255, 0, 0), SEEN // 2 + 3),
        rgba(np.where(TRUTH[..., None], [255, 0, 0], 0), SEEN),
        rgba(np.where(TRUTH[..., None], [0, 0, 0], 255), SEEN),
        rgba(np.where(np.indices((60, 80, 3))[1] < 40, [255, 0, 0], [0, 0, 255]), SEEN),
        rgba(np.repeat(SEEN[..., None], 3, axis=2), 255),
        rgba(np.repeat(SEEN[..., None], 3, axis=2), SEEN),
    ],
    ids=["white", "black", "half transparent", "red", "black on hidden white", "two colours",
         "opaque", "both"],
)  # fmt: skip
def test_transparency_and_colour_are_read_as_they_were_drawn(mask):
    np.testing.assert_array_equal(defective_by_alpha(mask), TRUTH)


def test_a_layer_on_which_nothing_was_drawn_is_blank():
    assert not defective_by_alpha(rgba((255, 255, 255), 0)).any()


def test_colours_that_contradict_transparency_are_refused():
    half = np.repeat((np.indices((60, 80))[1] < 40)[..., None] * np.uint8(255), 3, axis=2)
    with pytest.raises(ImageError) as caught:
        defective_by_alpha(rgba(half, SEEN))
    assert caught.value.code == "mask_transparency"
