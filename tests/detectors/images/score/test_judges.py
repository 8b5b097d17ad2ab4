"""Each judge of the whole image sees what it is for, and is silent about the rest."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT
from vae_anomaly.detectors.images.score.judges import (
    JUDGES,
    ExposureDistance,
    GlobalDistance,
    LayoutDistance,
)


def test_global_distance_is_the_shrunk_mahalanobis_distance(rng):
    statistics = rng.normal(size=(200, 3)) * [1.0, 5.0, 0.2] + 4.0
    x = statistics[:5] + 1.0
    spread = statistics.std(0) + 1e-3
    fitted = LedoitWolf().fit(statistics / spread)
    expected = np.sqrt(fitted.mahalanobis(x / spread))
    np.testing.assert_allclose(GlobalDistance.fit(statistics)(x), expected)


def test_exposure_is_measured_by_the_spread_of_its_own_side():
    brightness = np.r_[-2.0, -2.0, 0.0, 0.5, 0.5]
    distance = ExposureDistance.fit(brightness[:, None])
    found = distance(np.array([[-2.0], [0.0], [0.5]]))
    np.testing.assert_allclose(found, [1.0, 0.0, 1.0], atol=0.02)


def test_an_inverted_layout_is_farther_than_none_and_none_farther_than_a_dim_one(rng):
    part = rng.normal(size=N_LAYOUT)
    distance = LayoutDistance.fit(part + 0.3 * rng.normal(size=(20, N_LAYOUT)))
    inverted, none, dim = distance(np.stack([-part, np.zeros(N_LAYOUT), 0.5 * part]))
    assert dim < -1.0 < none == 0.0 < 1.0 < inverted


def test_a_layout_of_noise_alone_is_like_nothing(rng):
    distance = LayoutDistance.fit(rng.normal(size=N_LAYOUT) * np.ones((3, 1)))
    assert abs(distance(1e-4 * rng.normal(size=(5, N_LAYOUT)))).max() < 0.05


@pytest.mark.parametrize("name", list(JUDGES))
def test_a_judge_survives_its_state(name, rng):
    statistics = rng.normal(size=(12, 5 + N_LAYOUT))
    distance = JUDGES[name].fit(statistics)
    again = JUDGES[name].from_state(distance.state())
    np.testing.assert_array_equal(again(statistics), distance(statistics))


def test_of_longer_statistics_a_distance_reads_the_first_that_it_knows(rng):
    statistics = rng.normal(size=(30, 9))
    distance = GlobalDistance.fit(statistics[:, :4])
    np.testing.assert_array_equal(distance(statistics), distance(statistics[:, :4]))
