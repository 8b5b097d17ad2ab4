"""Differences of two judgements of the same items: right, and with intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.metrics import RankingCurve, auroc
from vae_anomaly.metrics.paired import auroc_difference, bootstrap_difference, rate_difference


def two_scores(rng, n: int, shift: float):
    """Two noisy looks at the same items, a fifth of them anomalies; the second is better."""
    labels = rng.random(n) < 0.2
    truth = rng.normal(size=n) + 1.5 * labels
    return labels, truth + rng.normal(size=n), truth + shift * labels + rng.normal(size=n)


def test_delong_has_the_difference_of_the_areas_and_the_width_of_a_bootstrap(rng):
    labels, first, second = two_scores(rng, 800, 0.5)
    found = auroc_difference(labels, first, second)
    assert found.estimate == pytest.approx(auroc(labels, second) - auroc(labels, first))
    drawn = bootstrap_difference(RankingCurve.auroc, labels, first, second)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.01)


def test_intervals_of_equal_judges_hold_nought_as_often_as_they_say(rng):
    held = {"auroc": 0, "rate": 0, "groups": 0}
    groups = np.repeat(np.arange(60), 5)
    for _ in range(300):
        labels, first, second = two_scores(rng, 300, 0.0)
        parts = rng.normal(size=60)[groups] * 1.5
        held["auroc"] += _holds(auroc_difference(labels, first, second))
        held["rate"] += _holds(rate_difference(first > 1.5, second > 1.5))
        flags = [parts + rng.normal(size=60)[groups] + rng.normal(size=300) > 2 for _ in range(2)]
        held["groups"] += _holds(rate_difference(*flags, groups))
    assert all(275 <= count <= 297 for count in held.values()), held


def _holds(interval) -> bool:
    return interval.low <= 0.0 <= interval.high


def test_full_agreement_on_few_items_is_no_certainty():
    flags = np.zeros(60, np.bool_)
    assert rate_difference(flags, flags).high > 0.02
    assert rate_difference(flags, flags, np.repeat(np.arange(6), 10)).high > 0.1
    assert rate_difference(flags[:0], flags[:0]).high == 1.0
