"""What is white in images of 16 bits, and which images show colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.images.white import (
    FULL_SCALE,
    WHITE_LEVELS,
    BrightPixels,
    shows_colour,
    stretch,
    white_of,
)
from vae_anomaly.errors import ConfigError

Image16 = npt.NDArray[np.uint16]


def scans(n: int = 60, peak: int = 3900, shape: tuple[int, int] = (40, 50)) -> list[Image16]:
    """Return images of a camera with pixels from 0 to a peak."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, peak + 1, shape).astype(np.uint16) for _ in range(n)]


def white(images: list[Image16]) -> int:
    return white_of([look for image in images if (look := BrightPixels.of(image)) is not None])


@settings(max_examples=30)
@given(st.integers(1, FULL_SCALE))
def test_white_is_the_smallest_level_that_even_images_do_not_exceed(peak):
    found = white([np.full((6, 6), peak, np.uint16)] * 9)
    assert peak <= found
    assert all(level < peak for level in WHITE_LEVELS if level < found)


@pytest.mark.parametrize("n_pixels", [1, 8])
@pytest.mark.parametrize("n_images", [1, 5])
def test_a_few_hot_pixels_in_a_few_images_never_decide(n_pixels, n_images):
    images = scans()
    rng = np.random.default_rng(1)
    for image in images[:n_images]:
        image.reshape(-1)[rng.choice(image.size, n_pixels, replace=False)] = FULL_SCALE
    assert white(images) == 4095


def test_a_pixel_that_is_stuck_in_every_image_does_not_decide():
    images = scans()
    for image in images:
        image[5, 7] = FULL_SCALE
        image[0, :4] = 40_000  # a time stamp of the frame grabber
    assert white(images) == 4095


def test_one_spoilt_image_does_not_decide():
    images = scans()
    images[3][20:] = FULL_SCALE
    assert white(images) == 4095


@pytest.mark.parametrize("n_pixels", [3, 30])
def test_a_14_bit_camera_with_few_bright_pixels_is_not_clipped_to_12(n_pixels):
    images = scans(peak=3000)
    rng = np.random.default_rng(2)
    for image in images[::2]:
        image.reshape(-1)[rng.choice(image.size, n_pixels, replace=False)] = 12_000
    assert white(images) == 16383


def test_some_images_with_a_highlight_are_enough():
    images = scans(peak=3000)
    for image in images[:4]:
        image[10:14, 10:14] = 12_000
    assert white(images) == 16383


def test_black_images_have_the_full_scale():
    assert white([np.zeros((4, 4), np.uint16)] * 3) == FULL_SCALE
    assert white([]) == FULL_SCALE


def test_images_of_8_bits_are_not_asked():
    assert BrightPixels.of(np.full((4, 4), 255, np.uint8)) is None


@pytest.mark.parametrize("level", WHITE_LEVELS)
def test_every_step_of_the_camera_stays_a_step(level):
    pixels = np.arange(level + 1, dtype=np.uint16)
    wide = stretch(pixels, level)
    assert (wide[0], wide[-1], wide.dtype) == (0, FULL_SCALE, np.uint16)
    assert (np.diff(wide.astype(int)) > 0).all()
    np.testing.assert_allclose(wide / FULL_SCALE, pixels / level, atol=0.5 / FULL_SCALE + 1e-9)


def test_brighter_pixels_are_white_and_eight_bits_stay_as_they_are():
    assert stretch(np.array([5000], np.uint16), 4095).tolist() == [FULL_SCALE]
    eight = np.array([0, 200], np.uint8)
    assert stretch(eight, 255) is eight
    with pytest.raises(ConfigError, match="Got 0"):
        stretch(eight, 0)


def test_a_tint_of_one_level_is_colour_and_a_stamp_is_none():
    grey = np.repeat(np.random.default_rng(3).integers(1, 250, (96, 96, 1)), 3, 2).astype(np.uint8)
    assert not shows_colour(grey)
    stamped = grey.copy()
    stamped[:3, :12] = (255, 255, 0)
    assert not shows_colour(stamped)
    assert shows_colour(grey + np.array([1, 0, 0], np.uint8))
