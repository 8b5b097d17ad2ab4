"""Counts tell what the samples themselves tell, and false alarms stay below the stated rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vae_anomaly.monitoring.baseline import number_variable
from vae_anomaly.monitoring.statistics import (
    chi_square,
    excess_flags,
    flag_range,
    holm,
    kolmogorov_smirnov,
    population_stability,
)


def test_stability_of_shifted_normals_is_the_square_of_the_shift(rng):
    before = number_variable("x", rng.normal(size=200_000))
    now = before.binned(rng.normal(0.5, 1.0, 200_000))
    assert population_stability(before.counts, now) == pytest.approx(0.25, abs=0.02)


def test_a_test_of_bins_finds_at_most_what_scipy_finds_of_the_values(rng):
    x, y = rng.normal(size=500), rng.normal(0.3, 1.0, 400)
    before = number_variable("x", x)
    distance, p_value = kolmogorov_smirnov(before.counts, before.binned(y))
    whole = stats.ks_2samp(x, y, method="asymp")
    assert distance <= whole.statistic
    assert whole.pvalue * 0.5 <= p_value <= 0.05


def test_two_samples_of_one_law_are_rejected_no_more_often_than_stated(rng):
    rejected = 0
    for _ in range(400):
        before = number_variable("x", rng.gamma(2.0, size=200))
        now = before.binned(rng.gamma(2.0, size=5000))
        rejected += kolmogorov_smirnov(before.counts, now)[1] <= 0.05
    assert rejected <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_chi_square_joins_small_cells_and_tests_nothing_of_one_value():
    assert chi_square([100, 0], [50, 0]) == 1.0
    assert chi_square([500, 3, 2, 1], [500, 1, 2, 3]) > 0.5
    assert chi_square([500, 500], [350, 650]) < 1e-6


def test_holm_rejects_as_the_textbook_says():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_flags_scatter_as_the_finite_calibration_lets_them(rng):
    """Of 99 held-out normals one lies above the bound: 1 in 50 nights of 1,000 has 60 flags."""
    flags = []
    for _ in range(4000):
        held_out = np.sort(rng.random(99))
        flags.append(int(np.sum(rng.random(1000) > held_out[-2])))
    low, high = flag_range(1000, 1, 99, 0.9)
    assert np.mean((low <= np.array(flags)) & (np.array(flags) <= high)) == pytest.approx(
        0.9, abs=0.02
    )
    above = np.mean(np.array(flags) >= 60)
    assert excess_flags(60, 1000, 1, 99) == pytest.approx(above, abs=0.01)
    assert stats.binom(1000, 0.02).sf(59) < 1e-9  # what a known share would say


def test_of_very_many_rows_the_law_is_the_same_and_takes_no_time():
    law = stats.betabinom(200_000, 51, 4950)
    low, high = flag_range(200_000, 50, 5000, 0.99)
    assert low == pytest.approx(law.ppf(0.005), rel=0.02)
    assert high == pytest.approx(law.ppf(0.995), rel=0.02)
    assert excess_flags(2700, 200_000, 50, 5000) == pytest.approx(law.sf(2699), rel=0.1)
    wide = flag_range(10**9, 50, 5000, 0.99)
    assert [end / 10**9 for end in wide] == pytest.approx([low / 2e5, high / 2e5], rel=0.02)


@pytest.mark.parametrize("now", [[9_999_970, 30], [9_980_000, 20_000]], ids=["rare", "frequent"])
def test_shares_of_many_items_are_tested_as_fewer_are(now):
    before = [now[0] - 5, now[1] + 5]
    exact = float(stats.fisher_exact([before, now]).pvalue)
    assert chi_square(before, now) == pytest.approx(exact, rel=0.15)
    assert chi_square([2**62, 2**61], [2**61, 2**62]) == 0.0  # and in no time
