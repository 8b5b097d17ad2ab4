"""Many small images on one: where each lies, and what is written beside it."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.errors import ConfigError
from vae_anomaly.reports.grids import GAP, LABEL_HEIGHT, LABEL_WIDTH, image_grid, write_grid


def test_a_grid_enlarges_small_images_without_blur_and_keeps_large_ones():
    tiny = np.zeros((1, 1, 8, 8))
    tiny[0, 0, 0, 0] = 1.0
    seen = np.asarray(image_grid(tiny))
    assert seen.shape == (96 + 2 * GAP, 96 + 2 * GAP, 3)
    assert (seen[GAP : GAP + 12, GAP : GAP + 12] == 255).all()
    assert (seen[GAP : GAP + 12, GAP + 12 : GAP + 24] == 0).all()
    assert image_grid(np.zeros((1, 2, 100, 120, 3))).size == (2 * 120 + 3 * GAP, 100 + 2 * GAP)


def test_a_grid_with_another_number_of_labels_is_refused():
    with pytest.raises(ConfigError, match="2 columns; got 1"):
        image_grid(np.zeros((1, 2, 8, 8)), columns=["a"])


def test_an_image_of_nan_leaves_its_place_empty():
    cells = np.zeros((1, 2, 100, 100))
    cells[0, 1] = np.nan
    seen = np.asarray(image_grid(cells))
    assert (seen[GAP:-GAP, GAP : GAP + 100] == 0).all()
    assert (seen[:, GAP + 100 :] == 255).all()


def test_labels_make_room_and_leave_the_images_alone(tmp_path):
    cells = np.random.default_rng(0).random((2, 1, 100, 100))
    bare, labelled = (np.asarray(image_grid(cells, *names)) for names in ((), (["a", "b"], ["c"])))
    assert (labelled[LABEL_HEIGHT:, LABEL_WIDTH:] == bare).all()
    assert (labelled[:LABEL_HEIGHT] != 255).any()
    assert write_grid(image_grid(cells), tmp_path / "new" / "grid.png").stat().st_size > 1000
