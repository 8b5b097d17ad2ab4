"""The gap rule: what stands apart is found, normals are left alone as often as is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from vae_anomaly.scoring.outliers import (
    FALSE_ALARMS,
    HEAVY,
    NATS,
    LeftOut,
    left_out_words,
    most_left_out,
    standing_out,
)

MOST_BY_CHANCE = binom(300, FALSE_ALARMS).ppf(0.995) / 300
LAWS = {
    "exponential": lambda rng, n: rng.exponential(size=n),
    "Gaussian": lambda rng, n: rng.normal(size=n),
    "gamma": lambda rng, n: rng.gamma(4.0, size=n),
    "uniform": lambda rng, n: rng.random(n),
    "counts": lambda rng, n: rng.poisson(2.0, size=n).astype(float),
}
HEAVY_LAWS = {
    "lognormal": lambda rng, n: np.exp(rng.normal(size=n)),
    "as heavy as assumed": lambda rng, n: ((1.0 - rng.random(n)) ** -0.3 - 1.0) / 0.3,
}


@pytest.mark.parametrize("n", [10, 24, 180])
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_normals_are_left_out_as_rarely_as_promised(law, n):
    rng = np.random.default_rng(n)
    found = np.mean([standing_out(law(rng, n)).any() for _ in range(300)])
    assert found <= MOST_BY_CHANCE


@pytest.mark.parametrize("n", [10, 24, 180])
@pytest.mark.parametrize("law", HEAVY_LAWS.values(), ids=HEAVY_LAWS)
def test_so_are_those_of_heavy_tails_where_that_is_said(law, n):
    rng = np.random.default_rng(n)
    found = np.mean([standing_out(law(rng, n), shape=HEAVY).any() for _ in range(300)])
    assert found <= MOST_BY_CHANCE


@pytest.mark.parametrize("n", [12, 40, 180])
@pytest.mark.parametrize("shape", [NATS, HEAVY])
def test_pairs_that_nobody_has_named_are_left_out_no_more_often(n, shape):
    """Two images of one part have nearly the same score."""
    rng = np.random.default_rng(n)
    draws = (np.repeat(rng.exponential(size=n // 2), 2) for _ in range(300))
    found = np.mean([standing_out(x + 0.01 * rng.random(n), shape=shape).any() for x in draws])
    assert found <= MOST_BY_CHANCE


@pytest.mark.parametrize("n", [24, 180, 1000])
@pytest.mark.parametrize("law", ["exponential", "Gaussian", "gamma"])
@pytest.mark.parametrize("n_bad", [1, 2])
def test_one_or_two_scores_far_above_all_others_are_found_and_nothing_else(law, n, n_bad):
    rng = np.random.default_rng(0)
    scores = LAWS[law](rng, n)
    bad = rng.choice(n, n_bad, replace=False)
    scores[bad] = scores.max() + 100.0 * scores.std() * np.arange(1, n_bad + 1)
    assert np.flatnonzero(standing_out(scores)).tolist() == sorted(bad.tolist())


def test_equal_outliers_do_not_hide_each_other():
    scores = np.append(np.random.default_rng(0).exponential(size=180), [40.0, 40.0])
    assert np.flatnonzero(standing_out(scores)).tolist() == [180, 181]


def test_more_than_a_few_are_a_kind_of_normals_and_stay():
    scores = np.append(np.random.default_rng(0).exponential(size=180), [40.0] * 9)
    assert not standing_out(scores).any()


def test_equal_scores_have_no_outliers():
    assert not standing_out(np.zeros(50)).any()
    assert not standing_out([*np.zeros(50), 1.0]).any()


def test_a_group_that_is_strange_as_a_whole_stays_and_one_strange_item_of_it_does_not():
    rng = np.random.default_rng(0)
    scores, groups = rng.exponential(size=180), np.repeat(np.arange(30), 6)
    lot = np.where(groups == 7, scores + 500.0, scores)
    assert not standing_out(lot, groups).any()
    scores[44] = 500.0
    assert np.flatnonzero(standing_out(scores, groups)).tolist() == [44]


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(0, 3))
def test_never_more_than_the_bound_and_only_the_largest(values, seed):
    groups = np.random.default_rng(seed).integers(0, 9, len(values))
    for found in (standing_out(values), standing_out(values, groups)):
        scores = np.array(values)
        assert found.sum() <= most_left_out(len(values))
        assert not found.any() or scores[found].min() > scores[~found].max()


@given(st.integers(0, 50), st.floats(0.01, 100.0), st.floats(-100.0, 100.0))
def test_the_unit_of_the_scores_does_not_matter(seed, unit, shift):
    scores = np.random.default_rng(seed).standard_t(2, size=60)
    assert np.array_equal(standing_out(scores), standing_out(scores * unit + shift))


def test_words_name_the_items_their_reasons_and_the_remedy():
    items = [LeftOut(f"night/{i:03d}.png", 9.26, "much darker") for i in range(12)]
    words = left_out_words(items)
    assert "night/000.png: much darker (score 9.3)" in words
    assert "and 2 more" in words
    assert "outliers='keep'" in words
