"""Panels show each image beside its map on the one scale, and each latent with its values."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.detectors.images.heatmaps import HEAT_RANGE
from vae_anomaly.errors import ConfigError
from vae_anomaly.reports.panels import MOST_ROWS, heatmap_panel_figure, traversal_figure


def test_a_panel_has_a_row_for_each_image_and_one_fixed_scale():
    images = [np.full((40, 60, 3), 100, np.uint8), np.full((40, 60), 0.5, np.float32)]
    heat = np.zeros((2, 20, 30), np.float32)
    heat[0, 5:10, 5:10] = 9.0
    figure = heatmap_panel_figure(images, heat, level=5.0, reconstructions=images)
    *cells, bar = figure.axes
    assert len(cells) == 2 * 4
    assert bar.get_ylim() == HEAT_RANGE
    assert [len(axes.lines) for axes in cells] == [0, 1, 1, 0, 0, 0, 0, 0]
    x, _ = cells[1].lines[0].get_xydata().T
    assert 8 < x.min() < x.max() < 21  # in pixels of the image, not of the map


def test_of_many_images_the_first_are_shown_and_the_title_says_so():
    images = [np.zeros((4, 4), np.uint8)] * (MOST_ROWS + 1)
    figure = heatmap_panel_figure(images, np.zeros((MOST_ROWS + 1, 2, 2), np.float32), level=5.0)
    assert "the first 12 of 13" in figure.get_suptitle()


def test_maps_that_are_not_as_many_as_images_are_refused():
    with pytest.raises(ConfigError, match="1 images and 2 heatmaps"):
        heatmap_panel_figure([np.zeros((4, 4))], np.zeros((2, 2, 2), np.float32), level=5.0)


def test_a_traversal_names_latents_and_values():
    figure = traversal_figure(np.zeros((2, 3, 8, 8), np.float32), [7, 1], [-3, 0, 1.5])
    grid = np.array(figure.axes).reshape(2, 3)
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["z7", "z1"]
    assert [axes.get_xlabel() for axes in grid[-1]] == ["-3", "0", "+1.5"]


def test_a_traversal_of_another_shape_is_refused():
    with pytest.raises(ConfigError, match=r"\(2, 3, h, w\)"):
        traversal_figure(np.zeros((2, 2, 8, 8), np.float32), [7, 1], [-3, 0, 1.5])
