"""Two thresholds on the same scores: the difference is surer than the two apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vae_anomaly.evaluation import ScoredItems, compare
from vae_anomaly.thresholds import Threshold


def test_the_difference_of_two_thresholds_is_the_closed_forms():
    draw = np.random.default_rng(0)
    labels = np.arange(20_000) < 2_000
    scores = draw.normal(size=20_000) + 2.0 * labels
    items = ScoredItems(np.arange(20_000).astype(object), scores, labels)
    found = compare(items, Threshold(value=2.0), Threshold(value=1.5), volume=1000.0)
    true = stats.norm.sf(1.5) - stats.norm.sf(2.0)
    rate = found.figures["fpr"][2]
    assert rate.low <= true <= rate.high
    assert found.figures["alarms_per_day"][2].estimate == pytest.approx(1000 * rate.estimate)
    recall = found.figures["recall"][2]
    assert recall.low <= stats.norm.sf(-0.5) - stats.norm.sf(0.0) <= recall.high
    assert recall.high - recall.low < 0.06  # surer than the two recalls apart
    assert found.only_a == 0
    assert found.only_b == np.sum((scores > 1.5) & (scores <= 2.0))
    back = compare(items, Threshold(value=1.5), Threshold(value=2.0)).figures["fpr"][2]
    assert (back.estimate, back.low, back.high) == (-rate.estimate, -rate.high, -rate.low)


def test_groups_widen_the_difference():
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 40)
    scores = np.repeat(draw.normal(size=30), 40) + 0.1 * draw.normal(size=1200)
    ids, two = np.arange(1200).astype(object), (Threshold(value=1.0), Threshold(value=0.5))
    apart = compare(ScoredItems(ids, scores), *two).figures["fpr"][2]
    together = compare(ScoredItems(ids, scores, groups=groups), *two).figures["fpr"][2]
    assert together.high - together.low > apart.high - apart.low
