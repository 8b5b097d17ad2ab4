"""Pooling: exact counts, surprises that never tie or stop, and honest held-out scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf

from vae_anomaly.detectors.images.score import (
    GLOBAL_FROM,
    SHOWN_FROM,
    SHOWN_VOTES,
    GlobalDistance,
    ImageScore,
    PoolEvidence,
    PoolSurprise,
    TailPooling,
    pool_maps,
    pool_maps_of_images,
)
from vae_anomaly.errors import CalibrationError


def test_pools_are_means_of_the_highest_cells():
    maps = np.arange(200.0).reshape(1, 10, 20)
    found = pool_maps(maps, (0.001, 0.01, 0.1, 1.0))
    np.testing.assert_allclose(found, [[199.0, 198.5, 189.5, 99.5]])


def test_pools_do_not_depend_on_where_the_cells_are(rng):
    maps = rng.normal(size=(3, 16, 16))
    mixed = rng.permuted(maps.reshape(3, -1), axis=1).reshape(3, 16, 16)
    np.testing.assert_allclose(pool_maps(maps), pool_maps(mixed))


def test_surprise_is_minus_log_p_at_held_out_values():
    reference = np.arange(1.0, 100.0)  # n = 99
    found = PoolSurprise(reference)(np.array([1.0, 50.0, 80.0]))
    np.testing.assert_allclose(found, -np.log(np.array([100.0, 51.0, 21.0]) / 100.0))


def test_surprise_of_an_exponential_tail_is_recovered(rng):
    reference = rng.exponential(2.0, 20_000)
    x = np.array([8.0, 16.0, 40.0])
    np.testing.assert_allclose(PoolSurprise(reference)(x), x / 2.0, rtol=0.05)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    st.floats(-2e3, 2e3),
    st.floats(1e-3, 1e3),
)
def test_surprise_rises_strictly(reference, value, step):
    surprise = PoolSurprise(np.round(reference, 3))
    low, high = surprise(np.array([value, value + step]))
    assert np.isfinite([low, high]).all()
    assert high > low


@pytest.mark.parametrize("reference", [[], [1.0, np.nan]], ids=["none", "not finite"])
def test_surprise_without_usable_normals_is_refused(reference):
    with pytest.raises(CalibrationError):
        PoolSurprise(np.array(reference))


def test_a_held_out_normal_is_judged_among_the_others():
    reference = np.arange(10.0)
    left_out = PoolSurprise(reference).leave_one_out()
    np.testing.assert_allclose(
        left_out[3], PoolSurprise(np.delete(reference, 3))(np.array([3.0]))[0]
    )


def test_leave_one_out_of_all_pools_keeps_the_order_of_the_images(rng):
    pooled = rng.normal(size=(15, 4))
    found = TailPooling(pooled).leave_one_out()
    expected = [
        [PoolSurprise(np.delete(pooled[:, j], i))(pooled[i : i + 1, j])[0] for j in range(4)]
        for i in range(15)
    ]
    np.testing.assert_allclose(found, expected)


def test_held_out_and_new_normals_get_the_same_distribution_of_scores(rng):
    """The point of leaving one out: without it held-out scores would be too low."""
    held_out, fresh = rng.normal(size=(40, 4)), rng.normal(size=(20_000, 4))
    pooling = TailPooling(held_out)
    raw = pooling.leave_one_out().sum(1)
    assert raw.mean() == pytest.approx(pooling(fresh).sum(1).mean(), rel=0.15)


def test_global_distance_is_the_shrunk_mahalanobis_distance(rng):
    statistics = rng.normal(size=(200, 3)) * [1.0, 5.0, 0.2] + 4.0
    x = statistics[:5] + 1.0
    spread = statistics.std(0) + 1e-3
    fitted = LedoitWolf().fit(statistics / spread)
    expected = np.sqrt(fitted.mahalanobis(x / spread))
    np.testing.assert_allclose(GlobalDistance.fit(statistics)(x), expected)


def test_whole_image_counts_only_beyond_one_in_a_hundred():
    whole = np.array([GLOBAL_FROM - 0.1, GLOBAL_FROM + 3.0])
    evidence = PoolEvidence(np.ones((2, 4)), whole, np.zeros((2, 0)))
    np.testing.assert_allclose(evidence.raw_score, [4.0, 7.0])


def test_the_shown_map_counts_only_beyond_one_in_ten():
    shown = np.array([[SHOWN_FROM - 0.1], [SHOWN_FROM + 1.0]])
    evidence = PoolEvidence(np.ones((2, 4)), np.zeros(2), shown)
    np.testing.assert_allclose(evidence.raw_score, [4.0, 4.0 + SHOWN_VOTES])


def test_a_hot_spot_of_the_shown_map_raises_the_score_and_a_cool_map_does_not_lower_it(rng):
    scored, shown = rng.normal(size=(2, 40, 8, 8))
    statistics, rows = rng.normal(size=(40, 5)), np.arange(40)
    alone, _ = ImageScore.fit(pool_maps_of_images(scored), statistics, rows % 4, rows)
    both, raw = ImageScore.fit(pool_maps_of_images(scored, shown), statistics, rows % 4, rows)
    new, cool = rng.normal(size=(2, 1, 8, 8))
    usual = alone(pool_maps_of_images(new), statistics[:1]).raw_score[0]
    cooled = both(pool_maps_of_images(new, cool - 9.0), statistics[:1])
    assert cooled.raw_score[0] == pytest.approx(usual)
    hot = cool.copy()
    hot[0, 3, 3] = 20.0
    seen = pool_maps_of_images(new, hot)
    assert both(seen, statistics[:1]).raw_score[0] > max(usual + 5.0, raw.max())
    assert "shown_top_0.2pct" in both(seen, statistics[:1]).columns()
    assert alone(seen, statistics[:1]).raw_score[0] == usual  # it knows one map only


@pytest.fixture
def fitted(rng):
    heat, statistics = rng.normal(size=(30, 8, 8)), rng.normal(size=(40, 5))
    folds, held_out = np.arange(40) % 4, np.arange(30)
    return ImageScore.fit(pool_maps_of_images(heat), statistics, folds, held_out)


def test_image_score_rises_with_heat_and_with_strange_exposure(fitted, rng):
    score, raw = fitted
    heat, statistics = rng.normal(size=(1, 8, 8)), np.zeros((1, 5))
    usual = score(pool_maps_of_images(heat), statistics).raw_score[0]
    hot = heat.copy()
    hot[0, 2, 2] = 9.0
    assert score(pool_maps_of_images(hot), statistics).raw_score[0] > usual + 5.0
    assert score(pool_maps_of_images(heat), statistics + 30.0).raw_score[0] > usual + 5.0
    assert raw.shape == (30,)


def test_image_score_survives_its_state(fitted, rng):
    score, _ = fitted
    pooled, statistics = pool_maps_of_images(rng.normal(size=(4, 8, 8))), rng.normal(size=(4, 5))
    again = ImageScore.from_state(score.state())
    np.testing.assert_array_equal(
        again(pooled, statistics).raw_score, score(pooled, statistics).raw_score
    )
    assert list(again(pooled, statistics).columns())[:2] == ["heat_top_0.2pct", "heat_top_1pct"]
