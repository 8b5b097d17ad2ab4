"""A card boxes the hottest regions, and its colour scale never moves."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE, find_regions
from vae_anomaly.reports.cards import inspection_card, shown
from vae_anomaly.reports.figures import write_figure


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)], ids=["grey", "colour"])
def test_a_card_boxes_regions_on_the_fixed_scale(shape, tmp_path):
    image = np.full(shape, 30_000, dtype=np.uint16)
    heat = np.zeros((40, 60), dtype=np.float32)
    heat[10:20, 30:45] = 8.0
    regions = find_regions(heat, 5.0)
    figure = inspection_card(image, heat, regions, level=5.0, title="part")
    left, _, bar = figure.axes
    assert (left.patches[0].get_width(), left.patches[0].get_height()) == (15, 10)
    assert bar.get_ylim() == HEAT_RANGE
    assert write_figure(figure, tmp_path / "card.png").stat().st_size > 2000


def test_sixteen_bits_are_shown_by_their_upper_eight():
    assert shown(np.array([[0, 65535]], dtype=np.uint16)).tolist() == [[[0] * 3, [255] * 3]]


def test_a_card_of_a_large_image_keeps_every_hot_spot():
    image = np.full((4000, 1000), 100, dtype=np.uint8)
    for place in (0, 1001, 2503, 3999):
        heat = np.zeros((4000, 1000), dtype=np.float32)
        heat[place, place % 1000] = 12.0
        _, right, _ = inspection_card(image, heat, level=5.0).axes
        drawn = right.images[0]
        assert max(drawn.get_size()) <= 400
        assert drawn.get_extent() == [-0.5, 999.5, 3999.5, -0.5]
        row = np.unravel_index(drawn.get_array().sum(2).argmax(), drawn.get_size())[0]
        assert abs(10 * row - place) <= 10
        assert drawn.get_array().max() == 255
