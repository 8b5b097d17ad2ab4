"""Heatmaps for people: one scale, right places, right sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.detectors.images.heatmaps import (
    HEAT_RANGE,
    contours,
    find_regions,
    region_level,
    regions_at,
    render,
    resize_heat,
)


@pytest.fixture
def heat() -> np.ndarray:
    maps = np.zeros((20, 30), np.float32)
    maps[2:5, 3:9] = 4.0
    maps[3, 4] = 7.0
    maps[15, 20] = 9.0
    return maps


def test_regions_have_box_area_and_peak_hottest_first(heat):
    small, large = find_regions(heat, 2.0)
    assert (small.top, small.left, small.bottom, small.right) == (15, 20, 16, 21)
    assert (large.top, large.left, large.bottom, large.right) == (2, 3, 5, 9)
    assert large.area_share == pytest.approx(18 / 600)
    assert (small.peak, large.peak) == (9.0, 7.0)
    assert large.mean == pytest.approx((17 * 4 + 7) / 18)


def test_no_heat_no_region(heat):
    assert find_regions(heat, 10.0) == []


@pytest.mark.parametrize("place", [(0, 0), (16, 16), (31, 31), (0, 20)])
def test_no_region_is_smaller_than_half_a_cell_of_its_map_nor_leaves_the_image(place):
    heat = np.zeros((32, 32), np.float32)
    heat[place] = 5.0
    (region,) = find_regions(heat, 2.0, (4, 4))
    assert (region.bottom - region.top, region.right - region.left) == (4, 4)
    assert region.top <= place[0] < region.bottom <= 32
    assert region.left <= place[1] < region.right <= 32
    assert region.area_share == 1 / 32**2


def test_growing_keeps_place_and_range(heat):
    large = resize_heat(heat[None], (200, 300))
    assert large.shape == (1, 200, 300)
    assert large.dtype == np.float32
    assert large.max() <= heat.max()
    y, x = np.unravel_index(large[0].argmax(), large[0].shape)
    assert (y // 10, x // 10) == (15, 20)


@pytest.mark.parametrize("size", [(7, 9), (19, 29), (20, 9), (7, 30), (1, 1)])
def test_shrinking_loses_no_hot_cell_at_any_place(size):
    maps = np.eye(600, dtype=np.float32).reshape(600, 20, 30) * 8.0
    drawn = resize_heat(maps, size)
    assert drawn.shape == (600, *size)
    np.testing.assert_array_equal(drawn.max(axis=(1, 2)), 8.0)
    rows, columns = np.unravel_index(drawn.reshape(600, -1).argmax(1), size)
    np.testing.assert_allclose(rows, np.arange(600) // 30 * size[0] / 20, atol=1.0)
    np.testing.assert_allclose(columns, np.arange(600) % 30 * size[1] / 30, atol=2.0)


def test_one_axis_may_grow_while_the_other_shrinks(heat):
    drawn = resize_heat(heat[None], (10, 300))[0]
    y, x = np.unravel_index(drawn.argmax(), drawn.shape)
    assert (y, x // 10) == (7, 20)
    assert drawn.max() > 8.0


def test_level_is_exceeded_by_the_share_asked():
    peaks = np.arange(1.0, 101.0)
    maps = np.zeros((100, 4, 4), np.float32)
    maps[:, 1, 2] = peaks
    level = region_level(maps, 0.05)
    assert (peaks > level).sum() <= 5
    assert level == 96.0


def test_outline_runs_around_the_region(heat):
    lines = contours(heat, 2.0)
    assert len(lines) == 2
    xs, ys = lines[0].T
    assert 2.0 <= xs.min() <= 3.0
    assert 8.0 <= xs.max() <= 9.0
    assert 1.0 <= ys.min() <= 2.0


def test_outlines_are_closed_also_along_the_border():
    heat = np.zeros((10, 12), np.float32)
    heat[:4, :5] = 5.0
    (line,) = contours(heat, 2.0)
    np.testing.assert_array_equal(line[0], line[-1])
    assert line[:, 0].min() == line[:, 1].min() == 0.0
    assert line[:, 0].max() == pytest.approx(4.6)
    (whole,) = contours(heat + 9.0, 2.0)
    assert (whole[:, 0].max(), whole[:, 1].max()) == (11.0, 9.0)


def test_colours_are_on_one_scale_and_never_stretched(heat):
    low, high = HEAT_RANGE
    ramp = np.linspace(low - 5, high + 5, 50, dtype=np.float32)[None]
    colours = render(ramp)[0].astype(int)
    assert tuple(colours[0]) == (0, 0, 0)
    assert tuple(colours[-1]) == (255, 255, 255)
    assert (np.diff(colours.sum(1)) >= 0).all()
    np.testing.assert_array_equal(render(heat)[0, 0], render(0 * heat)[0, 0])


@given(
    x=st.floats(0.2, 0.8), y=st.floats(0.2, 0.8), width=st.floats(0.6, 2.0),
)  # fmt: skip
def test_the_peak_of_a_region_is_read_between_the_cells(x, y, width):
    """A spot is found to a third of a cell, where the hottest centre may be half a cell off."""
    v, u = np.mgrid[0:16, 0:16] + 0.5
    grid = np.exp(-((u - 16 * x) ** 2 + (v - 16 * y) ** 2) / (2 * width**2)).astype(np.float32)
    (region,) = find_regions(resize_heat(grid[None], (160, 160))[0], 0.3, grid.shape)
    assert abs(region.peak_x - 160 * x) < 3.4
    assert abs(region.peak_y - 160 * y) < 3.4


@given(x=st.floats(0.0, 1.0), y=st.floats(0.0, 1.0))
def test_the_peak_of_a_region_lies_in_the_image_and_in_its_hottest_cell_or_beside(x, y):
    v, u = np.mgrid[0:8, 0:8] + 0.5
    grid = np.exp(-((u - 8 * x) ** 2 + (v - 8 * y) ** 2)).astype(np.float32)
    region = find_regions(resize_heat(grid[None], (120, 160))[0], 0.01, grid.shape)[0]
    row, column = np.unravel_index(np.argmax(grid), grid.shape)
    assert 20 * column <= region.peak_x <= 20 * column + 20
    assert 15 * row <= region.peak_y <= 15 * row + 15


@pytest.mark.parametrize("size", [(3000, 5000), (2500, 700), (400, 300)])
def test_regions_of_an_image_of_any_size_are_those_of_its_whole_map(size):
    heat = np.random.default_rng(3).random((24, 32), np.float32)
    heat[5:8, 10:13] = 4.0
    heat[20, 30] = 3.0
    whole = find_regions(resize_heat(heat[None], size)[0], 2.0, heat.shape)
    found = regions_at(heat, size, 2.0)
    assert len(found) == len(whole) == 2
    step = max(size) / 2048
    for one, other in zip(found, whole, strict=True):
        for name in ("top", "left", "bottom", "right", "peak_x", "peak_y"):
            tolerance = 0 if max(size) <= 2048 else 3 * step
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=tolerance), name
        assert one.area_share == pytest.approx(other.area_share, rel=0.02)
        assert one.peak == pytest.approx(other.peak, rel=0.01)


@pytest.mark.parametrize("hottest", [12, 14, 15])
def test_where_all_are_as_hot_rounding_does_not_choose_the_place(hottest):
    heat = np.zeros((16, 16), np.float32)
    heat[8, 12:] = 4.0
    heat[8, hottest] = np.nextafter(np.float32(4.0), np.float32(5.0))
    region = find_regions(heat, 2.0, (2, 2))[0]
    assert region.peak_x == 12.5
