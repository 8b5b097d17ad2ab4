"""What is drawn of a heatmap."""

from __future__ import annotations

import numpy as np

from vae_anomaly.batch.drawings import render_overlay


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
