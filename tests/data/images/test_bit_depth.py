"""White is decided by the camera, and stretching loses nothing and turns nothing round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vae_anomaly.data.images.bit_depth import FULL_SCALE, WHITE_LEVELS, stretch, white_level

from vae_anomaly.errors import ConfigError


@settings(max_examples=30)
@given(st.integers(1, FULL_SCALE))
def test_white_is_the_smallest_level_that_no_pixel_exceeds(peak):
    white = white_level(peak)
    assert peak <= white
    assert all(level < peak for level in WHITE_LEVELS if level < white)


@pytest.mark.parametrize("white", WHITE_LEVELS)
def test_every_step_of_the_camera_stays_a_step(white):
    pixels = np.arange(white + 1, dtype=np.uint16)
    wide = stretch(pixels, white)
    assert (wide[0], wide[-1], wide.dtype) == (0, FULL_SCALE, np.uint16)
    assert (np.diff(wide.astype(int)) > 0).all()
    np.testing.assert_allclose(wide / FULL_SCALE, pixels / white, atol=0.5 / FULL_SCALE + 1e-9)


def test_brighter_pixels_are_white_and_eight_bits_stay_as_they_are():
    assert stretch(np.array([5000], np.uint16), 4095).tolist() == [FULL_SCALE]
    eight = np.array([0, 200], np.uint8)
    assert stretch(eight, 255) is eight
    with pytest.raises(ConfigError, match="Got 1000"):
        stretch(eight, 1000)
