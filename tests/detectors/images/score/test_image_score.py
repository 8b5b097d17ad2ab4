"""The raw score: map and whole image each flag alone, and the promised rate is kept."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.features.whole_image import N_LAYOUT
from vae_anomaly.detectors.images.score.earlier import score_from_state
from vae_anomaly.detectors.images.score.image_score import ImageScore
from vae_anomaly.detectors.images.score.pooling import pool_maps_of_images

N_STATISTICS = 15 + N_LAYOUT


def fit(rng, n=40, shown=False):
    heat, other, statistics = rng.normal(size=(n, 8, 8)), rng.normal(size=(n, 8, 8)), looks(rng, n)
    pooled = pool_maps_of_images(heat, other if shown else None)
    return ImageScore.fit(pooled, statistics, np.arange(n) % 4, np.arange(n))


def looks(rng, n):
    part = np.sin(np.arange(N_LAYOUT) / 9.0)
    return np.hstack([rng.normal(size=(n, 15)), part + rng.normal(size=(n, N_LAYOUT))])


def maps(rng, n=1, shown=None):
    return pool_maps_of_images(rng.normal(size=(n, 8, 8)), shown)


def test_a_hot_map_flags_alone(rng):
    score, raw = fit(rng)
    hot = rng.normal(size=(1, 8, 8))
    hot[0, 2, 2] = 40.0
    evidence = score(pool_maps_of_images(hot), looks(rng, 1))
    assert evidence.raw_score[0] > raw.max() + 1.0
    assert not evidence.is_whole_alone[0]


@pytest.mark.parametrize("name", ["exposure", "appearance", "layout"])
def test_each_judge_of_the_whole_image_flags_alone_however_cool_the_map_is(name, rng):
    score, raw = fit(rng, n=200)
    statistics = looks(rng, 1)
    if name == "exposure":
        statistics[0, 0] -= 12.0
    elif name == "appearance":
        statistics[0, 3:9] += 12.0
    else:
        statistics[0, -N_LAYOUT:] *= -1.0
    evidence = score(maps(rng) - 5.0, statistics)
    assert evidence.raw_score[0] > raw.max()
    assert evidence.is_whole_alone[0]
    assert max(evidence.judged, key=lambda judge: evidence.judged[judge][0]) == name


def test_nearly_all_alarms_are_left_to_the_map(rng):
    score, raw = fit(rng, n=300)
    hottest = np.sort(score.surprise(score.surprise.reference))[-3] + np.log(0.85)
    assert np.sort(raw)[-3] < hottest + 0.7  # at most half of the alarms are the whole image's


def test_the_whole_image_is_silent_about_what_is_usual(rng):
    score, _ = fit(rng, n=100)
    evidence = score(maps(rng, 200), looks(rng, 200))
    assert np.mean(evidence.is_whole_alone) < 0.1


@pytest.mark.parametrize("n", [9, 39, 99])
def test_new_normals_are_rarer_than_all_held_out_ones_as_often_as_promised(n):
    """Mean of many calibrations; with few normals the tails must not promise too much."""
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        score, raw = fit(rng, n=n)
        new = score(maps(rng, 200), looks(rng, 200)).raw_score
        shares.append(np.mean(new > raw.max()))
    promised = 1.0 / (n + 1.0)
    assert 0.3 * promised < np.mean(shares)
    assert np.mean(shares) < promised + 2.0 * np.std(shares) / np.sqrt(len(shares))


def test_a_hot_spot_of_the_shown_map_raises_the_score_and_a_cool_one_does_not_lower_it(rng):
    score, raw = fit(rng, shown=True)
    heat, cool, statistics = rng.normal(size=(1, 8, 8)), rng.normal(size=(1, 8, 8)), looks(rng, 1)
    usual = score(pool_maps_of_images(heat, cool), statistics)
    cooled = score(pool_maps_of_images(heat, cool - 9.0), statistics)
    assert cooled.local[0] <= usual.local[0]
    hot = cool.copy()
    hot[0, 3, 3] = 30.0
    seen = score(pool_maps_of_images(heat, hot), statistics)
    assert seen.raw_score[0] > raw.max()
    assert "shown_top_0.2pct" in seen.columns()


def test_a_score_that_knows_one_map_leaves_the_other_out(rng):
    score, _ = fit(rng)
    heat, statistics = rng.normal(size=(1, 8, 8)), looks(rng, 1)
    one = score(pool_maps_of_images(heat), statistics).raw_score
    np.testing.assert_array_equal(
        score(pool_maps_of_images(heat, heat + 9.0), statistics).raw_score, one
    )


def test_the_raw_score_is_the_larger_of_two_columns(rng):
    score, _ = fit(rng, shown=True)
    evidence = score(maps(rng, 30, rng.normal(size=(30, 8, 8))), looks(rng, 30))
    columns = evidence.columns()
    np.testing.assert_array_equal(
        evidence.raw_score, np.maximum(columns["local"], columns["whole_image"])
    )
    judged = np.max([columns[name] for name in ("exposure", "appearance", "layout")], axis=0)
    said = judged + np.log(0.05)
    counts = said > 3.0
    np.testing.assert_allclose(columns["whole_image"][counts], said[counts])
    assert (columns["whole_image"][~counts] <= said[~counts]).all()


def test_image_score_survives_its_state(rng):
    score, _ = fit(rng)
    pooled, statistics = maps(rng, 4), looks(rng, 4)
    again = score_from_state(score.state())
    found, expected = again(pooled, statistics), score(pooled, statistics)
    np.testing.assert_array_equal(found.raw_score, expected.raw_score)
    assert list(found.columns())[:2] == ["heat_top_0.2pct", "heat_top_1pct"]
