"""Curves that a page draws."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.evaluation.points import MOST_POINTS, ranking_points


def test_few_items_are_drawn_whole_and_the_operating_point_lies_on_the_curve():
    scores, labels = np.array([0.1, 0.4, 0.9, 2.0]), np.array([False, False, True, True])
    points = ranking_points(scores, labels, 0.3)
    assert points.recall == (0.0, 0.5, 1.0, 1.0, 1.0)
    assert points.at == (0.5, 1.0, pytest.approx(2 / 3))
    assert points.base_rate == 0.5


def test_many_items_are_thinned_and_keep_both_ends(rng):
    labels = rng.random(20_000) < 0.02
    scores = rng.exponential(size=20_000) + 3.0 * labels
    points = ranking_points(scores, labels, 4.0)
    assert len(points.fpr) <= MOST_POINTS
    assert (points.fpr[0], points.recall[-1]) == (0.0, 1.0)
    assert list(points.recall) == sorted(points.recall)
