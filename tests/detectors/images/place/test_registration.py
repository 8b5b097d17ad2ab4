"""Shifts are found, undone, and not made up."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from vae_anomaly.detectors.images.place.registration import Registration, shift_image, shift_maps

SIZE = 96


def parts(n: int, most: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 96, 96) of a part, lit differently, and its shifts (n, 2)."""
    rng = np.random.default_rng(seed)
    shifts = rng.integers(-most, most + 1, (n, 2))
    images = []
    for shift in shifts:
        part = np.full((SIZE, SIZE), 0.7)
        part[20:76, 28:42] = part[62:76, 28:70] = 0.3
        part += 0.05 * ndimage.gaussian_filter(rng.normal(size=part.shape), 1.0)
        images.append(shift_image(part, tuple(-shift)) * rng.uniform(0.8, 1.2))
    return np.stack(images).astype(np.float32), shifts


def textures(n: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.normal(size=(n, SIZE, SIZE)), (0, 0.6, 4.0))
    return np.clip(0.5 + 0.3 * noise, 0, 1).astype(np.float32)


def test_shifts_of_up_to_8_percent_are_found_to_a_pixel_under_any_light():
    images, shifts = parts(40, 7)
    registration = Registration.fit(images)
    found = np.array([registration.shift_of(image) for image in images])
    error = found - shifts
    assert np.abs(error - np.median(error, axis=0)).max() <= 1
    assert np.abs(np.median(found, axis=0)).max() <= 1
    assert registration.is_worthwhile(images)


def test_a_moved_image_lies_where_the_reference_lies():
    images, _ = parts(20, 7)
    registration = Registration.fit(images)
    moved, shift = registration(images[3])
    np.testing.assert_array_equal(moved, shift_image(images[3], shift))
    assert registration.shift_of(moved) == (0, 0)
    colour, again = registration(np.repeat(images[3][..., None], 3, axis=2))
    assert (colour.shape, again) == ((SIZE, SIZE, 3), shift)


def test_a_defect_does_not_move_the_part():
    images, _ = parts(20, 7)
    registration = Registration.fit(images)
    broken = images[0].copy()
    broken[5:25, 70:90] = 0.05
    error = np.subtract(registration.shift_of(broken), registration.shift_of(images[0]))
    assert np.abs(error).max() <= 1


@pytest.mark.parametrize("kind", ["parts that lie still", "textures"])
def test_moving_is_not_worthwhile_for(kind):
    images = textures(30) if kind == "textures" else parts(30, 0)[0]
    registration = Registration.fit(images)
    assert not registration.is_worthwhile(images)


def test_what_resembles_nothing_is_not_moved():
    images, _ = parts(20, 7)
    registration = Registration.fit(images)
    assert registration.shift_of(np.full((SIZE, SIZE), 0.5, np.float32)) == (0, 0)
    assert [registration.shift_of(t) for t in textures(5)] == [(0, 0)] * 5


def test_maps_move_back_by_whole_cells():
    maps = np.zeros((2, 8, 8), np.float32)
    maps[:, 4, 4] = 9.0
    moved = shift_maps(maps, np.array([[0.0, 0.0], [0.1, -0.25]]))
    np.testing.assert_array_equal(moved[0], maps[0])
    assert moved[1, 5, 2] == 9.0
    assert moved[1].sum() == 9.0
