"""Figures show the operating point."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.reports.figures import evaluation_figures


@pytest.fixture
def scored(rng):
    return np.append(rng.normal(0, 1, 200), rng.normal(3, 1, 20)), np.repeat([0, 1], [200, 20])


def test_without_labels_only_the_histogram_is_drawn(scored):
    assert set(evaluation_figures(scored[0], None, 1.0)) == {"score_histogram"}


def test_the_point_of_each_curve_is_the_rate_at_the_threshold(scored):
    scores, labels = scored
    figures = evaluation_figures(scores, labels, 2.0)
    flags = scores > 2.0
    x, y = figures["roc"].axes[0].lines[-1].get_xydata()[0]
    assert (x, y) == pytest.approx((flags[labels == 0].mean(), flags[labels == 1].mean()))
    recall, precision = figures["precision_recall"].axes[0].lines[-1].get_xydata()[0]
    assert (recall, precision) == pytest.approx((flags[labels == 1].mean(), labels[flags].mean()))
