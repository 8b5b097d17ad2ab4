"""Two rankings: alike over all, alike at the top, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vae_anomaly.metrics.ranks import places, rank_correlation, shared_at_top


def test_the_correlation_is_spearmans_with_ties(rng):
    a = rng.integers(0, 5, 200).astype(float)
    b = a + rng.integers(0, 5, 200)
    assert rank_correlation(a, b).estimate == pytest.approx(stats.spearmanr(a, b).statistic)


def test_the_interval_covers_as_often_as_it_says(rng):
    true = 6 / np.pi * np.arcsin(0.5 * 0.8)  # Spearman's of a bivariate normal
    hits = 0
    for _ in range(300):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 60).T
        found = rank_correlation(a, b)
        hits += found.low <= true <= found.high
    assert 0.91 <= hits / 300 <= 0.99


@pytest.mark.parametrize("a", [[1.0], [1.0, 1.0, 1.0]], ids=["one item", "all alike"])
def test_what_has_no_order_has_no_correlation(a):
    found = rank_correlation(np.array(a), np.arange(len(a), dtype=float))
    assert np.isnan(found.estimate)
    assert (found.low, found.high) == (-1.0, 1.0)


def test_equal_rankings_share_all_and_opposite_ones_what_they_must():
    up, ties = np.arange(10, dtype=float), np.arange(10)
    first, last = places(up, ties), places(-up, ties)
    assert shared_at_top(first, first, [1, 5, 10]) == [1, 5, 10]
    assert shared_at_top(first, last, [1, 5, 6, 10]) == [0, 0, 2, 10]
