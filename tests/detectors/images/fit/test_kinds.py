"""Defects of named kinds: as large as asked, plain to the eye, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.fit.kinds import (
    DEFECT_KINDS,
    FAINTEST,
    LEAST_CONTRAST,
    NOISE_MULTIPLE,
    draw_defect,
    kinds_of,
    visible_contrast,
)
from vae_anomaly.errors import ConfigError

ROUND = sorted(set(DEFECT_KINDS) - {"scratch"})


@pytest.fixture
def image(rng) -> np.ndarray:
    """A textured grey surface in colour, with some relief."""
    light = rng.normal(0.5, 0.05, (96, 96, 1)) + np.linspace(-0.05, 0.05, 96)[:, None, None]
    return np.repeat(light, 3, axis=2).clip(0.0, 1.0).astype(np.float32)


def changed(image: np.ndarray, copy: np.ndarray) -> np.ndarray:
    return np.abs(copy - image).max(axis=2) > 0.02


@pytest.mark.parametrize("kind", ROUND)
@pytest.mark.parametrize("size", [8, 24])
def test_a_defect_is_about_as_large_as_asked(image, kind, size):
    reaches = []
    for seed in range(8):
        drawn = draw_defect(image, kind, size, np.random.default_rng(seed))
        rows, columns = np.nonzero(changed(image, drawn.image))
        reaches.append(max(np.ptp(rows), np.ptp(columns)) + 1)
    assert size / 2 < np.mean(reaches) < 1.7 * size + 2


def test_a_scratch_is_long_and_thin(image):
    drawn = draw_defect(image, "scratch", 40, np.random.default_rng(1))
    rows, columns = np.nonzero(changed(image, drawn.image))
    assert 34 < np.hypot(np.ptp(rows), np.ptp(columns)) < 46
    assert len(rows) < 40 * 4


@pytest.mark.parametrize("kind", sorted(DEFECT_KINDS))
def test_nothing_else_changes_and_the_image_is_left_alone(image, kind):
    before = image.copy()
    drawn = draw_defect(image, kind, 16, np.random.default_rng(0))
    outside = np.ones(image.shape[:2], bool)
    outside[drawn.where] = False
    np.testing.assert_array_equal(drawn.image[outside], before[outside])
    np.testing.assert_array_equal(image, before)
    assert drawn.image.dtype == np.float32
    assert drawn.image.min() >= 0.0
    assert drawn.image.max() <= 1.0


@pytest.mark.parametrize("level", [0.05, 0.5, 0.95], ids=["dark", "grey", "bright"])
@pytest.mark.parametrize("kind", ["hole", "stain", "missing piece"])
def test_on_a_smooth_surface_the_contrast_is_the_least_one_wherever_there_is_room(level, kind):
    smooth = np.full((64, 64, 1), level, np.float32)
    smooth[:, -8:] = 0.5 if level != 0.5 else 0.1
    inside = np.zeros((64, 64), bool)
    inside[20:44, 20:34] = True
    drawn = draw_defect(smooth, kind, 16, np.random.default_rng(3), inside=inside)
    change = np.abs(drawn.image - smooth).max()
    assert change > LEAST_CONTRAST - 0.03
    assert change < LEAST_CONTRAST + 0.03 or kind == "missing piece"


def test_on_a_rough_surface_it_is_a_multiple_of_the_noise():
    assert visible_contrast(0.0) == LEAST_CONTRAST
    assert visible_contrast(0.04) == pytest.approx(NOISE_MULTIPLE * 0.04)
    assert visible_contrast(1.0) == 0.5


def test_on_a_faint_image_it_is_as_faint():
    assert visible_contrast(0.0, extent=0.2) == 0.2
    assert visible_contrast(0.0, extent=0.0) == FAINTEST


def test_a_tint_leaves_the_brightness():
    smooth = np.full((64, 64, 3), 0.5, np.float32)
    drawn = draw_defect(smooth, "tint", 16, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.image.mean(axis=2), 0.5, atol=1e-5)
    assert np.abs(drawn.image - smooth).max() == pytest.approx(FAINTEST, abs=1e-3)


def test_what_cannot_show_is_not_drawn():
    smooth = np.full((64, 64, 1), 0.5, np.float32)
    assert draw_defect(smooth, "blur", 16, np.random.default_rng(0)) is None
    assert draw_defect(smooth, "tint", 16, np.random.default_rng(0)) is None
    assert "tint" not in kinds_of(64, 1)
    assert "tint" in kinds_of(64, 3)


def test_it_lies_on_the_part_where_that_is_told(image):
    inside = np.zeros((96, 96), bool)
    inside[60:80, 60:80] = True
    for seed in range(10):
        drawn = draw_defect(image, "hole", 8, np.random.default_rng(seed), inside=inside)
        rows, columns = np.nonzero(changed(image, drawn.image))
        assert 59 <= rows.mean() <= 81
        assert 59 <= columns.mean() <= 81


def test_unknown_kinds_and_impossible_sizes_are_refused(image):
    with pytest.raises(ConfigError, match="hole, scratch"):
        draw_defect(image, "dent", 8, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="got 200"):
        draw_defect(image, "hole", 200, np.random.default_rng(0))
