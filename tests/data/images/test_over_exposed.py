"""An image is over-exposed if much of it is white, and of no other one more than a twentieth."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.data.images.over_exposed import over_exposed, over_exposed_words, white_shares

RNG = np.random.default_rng(0)


def shares(n, *largest, usual=0.0016):
    """Return shares of n images: a little white, and images with pairs (white, nearly white)."""
    table = np.sort(RNG.uniform(0.0, usual, (n, 2)), axis=1)
    table[: len(largest)] = largest
    return table


@pytest.mark.parametrize("frames", [[(0.04, 0.06)], [(0.06, 0.067), (0.075, 0.084)], [(1.0, 1.0)]])
def test_one_or_two_frames_are_found_where_others_have_little_white(frames):
    found = over_exposed(shares(180, *frames))
    assert np.flatnonzero(found).tolist() == list(range(len(frames)))


def test_a_third_one_makes_it_a_kind_of_light():
    assert not over_exposed(shares(180, *[(0.3, 0.31)] * 3)).any()


def test_one_of_two_is_found_where_the_other_is_no_more_white_than_the_rest():
    found = over_exposed(shares(180, (0.9, 0.9), (0.01, 0.02)))
    assert np.flatnonzero(found).tolist() == [0]


@pytest.mark.parametrize("white", [0.079, 0.024])
def test_a_good_image_with_fourteen_times_the_highlights_of_the_next_stays(white):
    assert not over_exposed(shares(180, (white, 0.079), (0.004, 0.0055))).any()


def test_nearly_white_pixels_of_others_count_and_its_own_do_not():
    assert not over_exposed(shares(180, (0.02, 0.5))).any()
    assert not over_exposed(shares(180, (0.1, 0.1), (0.0, 0.006))).any()


@pytest.mark.parametrize(("n", "found"), [(8, 0), (49, 0), (50, 1), (99, 1)])
def test_few_images_lose_none_and_fewer_than_a_hundred_one(n, found):
    assert over_exposed(shares(n, (0.5, 0.5))).sum() == found
    assert not over_exposed(shares(n, (0.5, 0.5), (0.5, 0.5))).any()


@pytest.mark.parametrize("n", [50, 100, 180, 700])
@pytest.mark.parametrize("sd", [0.5, 1.0, 1.5])
def test_highlights_of_all_sizes_seldom_cost_a_good_image(n, sd):
    nearly = np.minimum(0.01 * np.exp(sd * RNG.normal(size=(300, n))), 1.0)
    lost = [over_exposed(np.stack([0.7 * row, row], axis=1)).any() for row in nearly]
    assert np.mean(lost) <= 0.01


def test_rare_highlights_of_one_size_cost_two_of_a_hundred_at_most():
    for n in (60, 120, 400):
        for m in (20, 60, 120, 400):
            draws = RNG.random((100, n)) < 1.0 / m
            lost = [over_exposed(np.stack([0.2 * row, 0.2 * row], axis=1)).sum() for row in draws]
            assert max(lost) <= 0.02 * n


def test_no_white_at_all_is_no_reason():
    assert not over_exposed(np.zeros((180, 2))).any()


@pytest.mark.parametrize(
    ("dtype", "white", "nearly"),
    [("uint8", 255, 252), ("uint16", 65535, 64900), ("float32", 1.0, 0.99), ("float64", 1.0, 0.99)],
)
def test_white_is_the_largest_value_of_the_pixels(dtype, white, nearly):
    pixels = np.zeros((4, 5), dtype)
    pixels[0, :2], pixels[1, :3] = white, nearly
    assert white_shares(pixels) == (0.1, 0.25)
    assert white_shares(np.stack([pixels] * 3, axis=2)) == (0.1, 0.25)


def test_a_pixel_of_which_one_channel_is_clipped_has_a_colour():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert white_shares(red) == (0.0, 0.0)


def test_words_tell_both_shares():
    words = over_exposed_words(0.0838, 0.0016)
    assert words == "8.4 % of its pixels are white, at most 0.2 % in the others"
    assert "100 % of its pixels are white, at most 0.1 %" in over_exposed_words(1.0, 0.0)
