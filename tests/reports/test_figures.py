"""Figures show the operating point, and the colour scale never moves."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, find_regions
from vae_anomaly.reports.cards import inspection_card, shown
from vae_anomaly.reports.figures import evaluation_figures
from vae_anomaly.reports.files import write_figure


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


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)], ids=["grey", "colour"])
def test_a_card_boxes_regions_on_the_fixed_scale(shape, tmp_path):
    picture = np.full(shape, 30_000, dtype=np.uint16)
    heat = np.zeros((40, 60), dtype=np.float32)
    heat[10:20, 30:45] = 8.0
    regions = find_regions(heat, 5.0)
    figure = inspection_card(picture, heat, regions, level=5.0, title="part")
    left, _, bar = figure.axes
    assert (left.patches[0].get_width(), left.patches[0].get_height()) == (15, 10)
    assert bar.get_ylim() == HEAT_RANGE
    assert write_figure(figure, tmp_path / "card.png").stat().st_size > 2000


def test_sixteen_bits_are_shown_by_their_upper_eight():
    assert shown(np.array([[0, 65535]], dtype=np.uint16)).tolist() == [[[0] * 3, [255] * 3]]
