"""Synthetic defects: where the mask says, visible, repeatable, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.fit.defects import (
    FAMILIES,
    add_defects,
    cell_mask,
    soft_ellipse,
    soft_noise_mask,
    visibility,
)
from vae_anomaly.errors import ConfigError


@pytest.fixture
def image(rng) -> np.ndarray:
    return rng.uniform(0.3, 0.7, (128, 128, 1)).astype(np.float32)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_nothing_changes_outside_the_mask(rng, family, channels):
    image = rng.uniform(0.3, 0.7, (128, 128, channels)).astype(np.float32)
    donor = rng.uniform(0.0, 1.0, image.shape).astype(np.float32)
    seen = 0
    for seed in range(12):
        broken, mask = add_defects(image, np.random.default_rng(seed), donor=donor, family=family)
        assert broken.dtype == np.float32
        assert broken.min() >= 0.0
        assert broken.max() <= 1.0
        assert mask.shape == (128, 128)
        assert mask.min() >= 0.0
        assert mask.max() <= 1.0
        np.testing.assert_array_equal(broken[mask == 0.0], image[mask == 0.0])
        seen += bool((mask > 0.5).any())
    assert seen >= 8  # a few fall outside or hardly show


def test_the_image_itself_is_left_alone(image):
    before = image.copy()
    add_defects(image, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)


def test_same_generator_same_defect_and_another_seed_another(image):
    first, again, other = (add_defects(image, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_families_come_in_their_shares():
    assert sum(FAMILIES.values()) == pytest.approx(1.0)


def test_defects_scale_with_the_image():
    areas = []
    for side in (128, 512):
        flat = np.random.default_rng(0).uniform(0.4, 0.6, (side, side, 1)).astype(np.float32)
        masks = [add_defects(flat, np.random.default_rng(s), family="spot")[1] for s in range(10)]
        areas.append(np.mean([(mask > 0.5).mean() for mask in masks]))
    assert areas[0] == pytest.approx(areas[1], rel=0.5)


def test_visibility_is_one_at_half_the_images_sd(rng):
    image = rng.normal(0.5, 0.1, (64, 64, 1)).astype(np.float32)
    changed = image.copy()
    changed[20:40, 20:40] += 0.5 * float(image.std())
    assert visibility(image, changed)[30, 30] == pytest.approx(1.0, abs=1e-4)
    assert visibility(image, changed)[5, 5] == 0.0


def test_cell_mask_takes_the_greatest_value_of_each_cell():
    mask = np.zeros((16, 16), np.float32)
    mask[3, 12] = 0.7
    np.testing.assert_array_equal(cell_mask(mask), np.array([[0, 0.7], [0, 0]], np.float32))


def test_a_true_ellipse_has_its_area(rng):
    mask = soft_ellipse((100, 100), (50, 50), (20, 30), rng, softness=1.0, wobble=0.0)
    assert mask.sum() == pytest.approx(np.pi * 20 * 30, rel=0.03)


def test_an_ellipse_outside_the_image_is_empty(rng):
    assert soft_ellipse((50, 50), (300, 300), (5, 5), rng).max() == 0.0


def test_noise_mask_covers_about_the_share_asked(rng):
    mask = soft_noise_mask((200, 200), 8.0, 0.3, rng)
    assert (mask > 0).mean() == pytest.approx(0.3, abs=0.02)


def test_unknown_family_is_refused_with_the_choices(image):
    with pytest.raises(ConfigError, match="scratch"):
        add_defects(image, np.random.default_rng(0), family="rust")
