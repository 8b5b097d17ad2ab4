"""What is drawn of a heatmap."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.batch.review.drawings import render_mask, render_overlay


def test_overlay_uses_one_scale_and_outlines_regions():
    part = np.full((40, 60), 100, dtype=np.uint8)
    heat = np.zeros((8, 12), dtype=np.float32)
    heat[2:6, 2:6] = 6.0
    image = np.asarray(render_overlay(part, heat, level=3.0))
    outline = (image == [0, 255, 255]).all(axis=2)
    assert image.shape == (40, 60, 3)
    assert outline.any()
    assert not outline[:, 45:].any()
    assert (image[:5, 50:] == 100).all()


@pytest.mark.parametrize("side", [20, 64, 700], ids=["map larger", "equal", "drawing smaller"])
def test_one_hot_cell_is_outlined_wherever_it_lies(side):
    part = np.full((side, side), 100, dtype=np.uint8)
    for place in range(0, 64 * 64, 397):
        heat = np.zeros(64 * 64, dtype=np.float32)
        heat[place] = 6.0
        overlay = np.asarray(render_overlay(part, heat.reshape(64, 64), level=3.0))
        outline = (overlay == [0, 255, 255]).all(axis=2)
        assert np.asarray(render_mask(part, heat.reshape(64, 64), level=3.0)).any()
        assert outline.any()
        row, column = (mean.mean() / len(overlay) * 64 for mean in outline.nonzero())
        assert abs(row - place // 64) < 4
        assert abs(column - place % 64) < 4


def test_an_overlay_outlines_a_spot_that_its_drawing_has_no_pixel_for():
    part = np.full((3000, 200), 100, dtype=np.uint8)
    for place in range(40, 60):
        heat = np.zeros((375, 25), dtype=np.float32)
        heat[place, 12] = 4.0
        overlay = np.asarray(render_overlay(part, heat, level=3.0))
        assert (overlay == [0, 255, 255]).all(axis=2).any()
