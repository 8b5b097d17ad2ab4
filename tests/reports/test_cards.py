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
