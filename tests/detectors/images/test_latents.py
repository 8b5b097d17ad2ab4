"""What a model expects in place of an image."""

from __future__ import annotations

import numpy as np

from vae_anomaly.detectors import ImageVAEDetector
from vae_anomaly.detectors.images.place.registration import shift_image


def test_what_is_expected_of_a_part_that_was_moved_lies_where_the_part_lies(rng):
    part = np.full((64, 64), 40.0)
    part[20:40, 16:44] = 180.0
    part[26:30, 20:34] = 90.0
    shifts = rng.integers(-4, 5, (40, 2))
    moved = [shift_image(part, tuple(shift)) for shift in shifts]
    images = np.clip(np.stack(moved) + rng.normal(0.0, 4.0, (40, 64, 64)), 0, 255).astype(np.uint8)
    detector = ImageVAEDetector(
        model="conv",
        register="shift",
        preset="fast",
        max_steps=20,
        outliers="keep",
        random_state=0,
    ).fit(images)
    expected = detector.reconstruct(np.stack([part, shift_image(part, (4, -3))]).astype(np.uint8))
    back = shift_image(expected[1], (-4, 3))[8:-8, 8:-8]
    np.testing.assert_allclose(back, expected[0][8:-8, 8:-8], atol=0.02)
