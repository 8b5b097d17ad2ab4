"""Surprises never tie or stop, and held-out numbers are judged honestly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.detectors.images.score.surprise import (
    PoolSurprise,
    PredictiveSurprise,
    RankSurprise,
    among_others,
)
from vae_anomaly.errors import CalibrationError


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
    for kind in (PoolSurprise, RankSurprise, PredictiveSurprise):
        low, high = kind(np.round(reference, 3))(np.array([value, value + step]))
        assert np.isfinite([low, high]).all()
        assert high > low


@pytest.mark.parametrize("reference", [[], [1.0, np.nan]], ids=["none", "not finite"])
def test_surprise_without_usable_normals_is_refused(reference):
    with pytest.raises(CalibrationError):
        PoolSurprise(np.array(reference))


@pytest.mark.parametrize("kind", [PoolSurprise, PredictiveSurprise])
def test_a_held_out_normal_is_judged_among_the_others(kind):
    reference = np.arange(10.0)
    left_out = among_others(kind, reference)
    for i in (3, 9):
        others = kind(np.delete(reference, i))
        np.testing.assert_allclose(left_out[i], others(reference[i : i + 1])[0])


def test_no_held_out_number_owns_the_surprise():
    reference = np.r_[np.arange(98.0), 1e6]  # n = 99, one of them far out
    surprise = RankSurprise(reference)
    np.testing.assert_allclose(surprise(reference).max(), np.log(50.0))
    assert surprise(np.array([2e6]))[0] > np.log(50.0)


def test_a_rank_is_minus_log_p_at_every_held_out_value():
    found = RankSurprise(np.arange(1.0, 100.0))(np.array([1.0, 50.0, 99.0]))
    np.testing.assert_allclose(found, -np.log(np.array([100.0, 51.0, 2.0]) / 100.0))


@pytest.mark.parametrize("n", [10, 30, 200])
def test_a_predictive_tail_promises_what_new_numbers_do_with_few_as_with_many(n, rng):
    """Exponential numbers exceed the surprise -log p at the rate p, far beyond all n of them."""
    rate = 0.2 / n
    found = []
    for _ in range(1000):
        surprise = PredictiveSurprise(rng.exponential(size=n))
        found.append(np.mean(surprise(rng.exponential(size=2000)) > -np.log(rate)))
    assert np.mean(found) == pytest.approx(rate, rel=0.3)


@pytest.mark.parametrize("n", [10, 30, 200])
def test_new_numbers_are_beyond_all_ranks_as_seldom_as_the_surprise_says(n, rng):
    rate = 0.2 / n
    found = []
    for _ in range(300):
        surprise = RankSurprise(rng.exponential(size=n))
        found.append(np.mean(surprise(rng.exponential(size=2000)) > -np.log(rate)))
    assert np.mean(found) <= 1.3 * rate


@pytest.mark.parametrize("n", [9, 12, 30])
def test_among_the_others_a_normal_surprises_as_it_would_if_it_were_new(n, rng):
    """The largest of n exponential surprises is log n and a little, and hardly ever far more."""
    drawn = [np.sort(rng.exponential(size=n)) for _ in range(2000)]
    largest = [PredictiveSurprise(values[:-1])(values[-1:])[0] for values in drawn]
    for beyond in (2.0, 4.0):
        share = np.mean(np.array(largest) > np.log(n) + beyond)
        assert share <= np.exp(-beyond) + 0.02
