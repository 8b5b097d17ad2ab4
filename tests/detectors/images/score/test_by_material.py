"""What calm material shows counts as much as what restless material shows."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT
from vae_anomaly.detectors.images.score.by_material import ByMaterial, MaterialScale, explained_by
from vae_anomaly.detectors.images.score.image_score import ImageScore

CALM, RESTLESS = 0, 1


def seen(rng, n, restless=4.0):
    """Return poolings, statistics, peaks and materials of n good images, half of each material."""
    material = np.arange(n) % 2
    unit = np.where(material == RESTLESS, restless, 1.0)[:, None]
    pooled, peaks = unit * rng.gamma(9.0, 0.1, (n, 4)), unit * rng.gamma(9.0, 0.1, (n, 22))
    statistics = np.sin(np.arange(15 + N_LAYOUT)) + rng.normal(size=(n, 15 + N_LAYOUT))
    return pooled, statistics, peaks, material


def fit(rng, n=200, restless=4.0):
    pooled, statistics, peaks, material = seen(rng, n, restless)
    rows = np.arange(n)
    return ImageScore.fit(pooled, statistics, rows % 5, rows, peaks, material)


def test_a_defect_in_calm_material_flags_where_restless_material_is_always_hotter(rng):
    score, raw = fit(rng)
    limit = np.quantile(raw, 0.99)
    pooled, statistics, peaks, material = seen(rng, 100)
    hot = 2.2 * pooled
    assert hot[material == CALM].max() < pooled[material == RESTLESS].max()
    found = score(hot, statistics, peaks, material).raw_score > limit
    assert found[material == CALM].mean() > 0.8


@pytest.mark.parametrize("material", [CALM, RESTLESS])
def test_good_images_of_either_material_are_flagged_as_promised(material, rng):
    score, raw = fit(rng, n=400)
    new = seen(rng, 2000)
    flagged = score(*new).raw_score[new[3] == material] > np.quantile(raw, 0.95)
    assert 0.01 < flagged.mean() < 0.1


@pytest.mark.parametrize("restless", [1.0, 1.3])
def test_materials_whose_maps_are_nearly_as_hot_are_not_told_apart(rng, restless):
    pooled, _, peaks, material = seen(rng, 200, restless)
    assert ByMaterial.fit(pooled, peaks, material) is None


def test_columns_that_materials_do_not_differ_in_stay_as_they_are(rng):
    pooled, _, peaks, material = seen(rng, 200)
    peaks[:, 3] = rng.normal(size=200)
    scales = ByMaterial.fit(pooled, peaks, material)
    assert scales is not None
    found = scales(pooled, peaks, material)[1]
    np.testing.assert_array_equal(found[:, 3], peaks[:, 3])
    assert not np.allclose(found[:, 4], peaks[:, 4])


def test_what_a_material_explains_is_a_share():
    values = np.arange(8.0)
    assert explained_by(values, np.arange(8) // 4) == pytest.approx(16 / 21)
    assert explained_by(np.ones(8), np.arange(8) // 4) == 0.0
    assert MaterialScale.fit(values[:, None], np.arange(8) // 4).centre.tolist() == [[1.5], [5.5]]


def test_one_material_is_no_material(rng):
    pooled, _, peaks, material = seen(rng, 20)
    assert ByMaterial.fit(pooled, peaks, np.zeros(20, int)) is None
    assert ByMaterial.fit(pooled, None, material) is None


def test_a_score_with_materials_is_the_same_after_its_state(rng):
    score, _ = fit(rng)
    new = seen(rng, 30)
    again = ImageScore.from_state(score.state())
    np.testing.assert_array_equal(again(*new).raw_score, score(*new).raw_score)
