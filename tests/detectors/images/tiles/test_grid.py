"""Tiles cover every pixel, overlap as asked, and lie on whole cells."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.detectors.images.score.pooling import pool_maps
from vae_anomaly.detectors.images.tiles.grid import TileBlend, TileGrid, pool_tiles
from vae_anomaly.errors import ConfigError


@given(
    height=st.integers(64, 700),
    width=st.integers(64, 700),
    overlap=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
)
def test_tiles_cover_every_cell_and_overlap_at_least_as_asked(height, width, overlap):
    grid = TileGrid(height, width, 64, overlap, 8)
    covered = np.zeros(grid.cells, int)
    for number in range(len(grid)):
        covered[grid.window(number)] += 1
    assert covered.min() >= 1
    for starts in (grid.rows, grid.columns):
        assert all(b - a <= 8 - round(overlap * 8) for a, b in pairwise(starts))


def test_a_tile_shows_what_lies_at_its_place_and_repeats_the_edge_beyond_it():
    image = np.arange(70 * 100, dtype=np.uint16).reshape(70, 100)
    grid = TileGrid(70, 100, 64, 0.25, 8)
    last = len(grid) - 1
    row, column = grid.corner(last)
    tile = grid.cut(image, last)
    assert tile.shape == (64, 64)
    np.testing.assert_array_equal(
        tile[: 70 - 8 * row, : 100 - 8 * column], image[8 * row :, 8 * column :]
    )
    assert (tile[-1] == tile[70 - 8 * row - 1]).all()
    assert np.shares_memory(grid.cut(image, 0), image)


def test_a_image_smaller_than_a_tile_has_none():
    with pytest.raises(ConfigError, match="smaller tiles"):
        TileGrid(60, 100, 64, 0.25, 8)


def test_blending_tiles_of_one_map_gives_that_map():
    grid = TileGrid(200, 264, 64, 0.25, 8)
    whole = np.random.default_rng(0).normal(size=grid.cells)
    blend = TileBlend(grid)
    blend.add(range(len(grid)), np.stack([whole[grid.window(k)] for k in range(len(grid))]))
    np.testing.assert_allclose(blend.map(), whole, atol=1e-6)


def test_where_two_tiles_disagree_the_map_goes_from_one_to_the_other_without_a_step():
    grid = TileGrid(64, 96, 64, 0.5, 8)
    blend = TileBlend(grid)
    blend.add([0, 1], np.stack([np.zeros((8, 8)), np.ones((8, 8))]))
    steps = np.diff(blend.map()[4])
    assert (steps >= 0).all()
    assert steps.max() <= 0.35
    assert (blend.map()[4, 0], blend.map()[4, -1]) == (0.0, 1.0)


def test_one_hot_tile_counts_as_much_in_a_large_image_as_in_a_small_one():
    small, large = TileGrid(64, 64, 64, 0.25, 8), TileGrid(640, 640, 64, 0.25, 8)
    hot = np.zeros((8, 8))
    hot[2:4, 2:4] = 9.0
    heat = np.zeros(large.cells)
    heat[:8, :8] = hot
    np.testing.assert_array_equal(pool_tiles(hot, small), pool_maps(hot[None])[0])
    assert (pool_tiles(heat, large)[:3] == pool_tiles(hot, small)[:3]).all()
    assert pool_tiles(heat, large)[3] == pytest.approx(heat.mean())
