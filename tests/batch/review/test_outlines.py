"""Outlines of few points still lie where the map is hot."""

from __future__ import annotations

import numpy as np

from vae_anomaly.batch.review.outlines import few_points, shown_contours


def circle(radius: float, n: int = 400) -> np.ndarray:
    turn = np.linspace(0.0, 2 * np.pi, n)
    return 100.0 + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def test_a_circle_of_few_points_is_nowhere_far_from_the_circle():
    (few,) = few_points([circle(50.0)])
    assert 8 < len(few) < 60
    middles = (few[1:] + few[:-1]) / 2
    assert np.abs(np.hypot(*(middles - 100.0).T) - 50.0).max() <= 0.5 + 1e-9


def test_a_speck_keeps_its_box():
    assert [len(line) for line in few_points([circle(0.2)])] == [5]


def test_many_outlines_have_no_more_points_than_a_page_has_room_for():
    lines = [circle(radius) for radius in np.linspace(1.0, 60.0, 150)]
    few = few_points(lines)
    assert sum(map(len, few)) <= 200
    assert np.ptp(few[0][:, 0]) > 100  # the largest is there


def test_a_cool_map_has_none_and_a_hot_one_is_outlined_in_shares():
    heat = np.zeros((16, 16), np.float32)
    assert shown_contours(heat, 3.0, (50, 100)) == ()
    heat[4:8, 8:12] = 9.0
    (line,) = shown_contours(heat, 3.0, (50, 100))
    x, y = np.reshape(line, (-1, 2)).T
    assert 0.45 < x.min() < 0.52 < 0.72 < x.max() < 0.8
    assert 0.2 < y.min() < 0.28 < 0.47 < y.max() < 0.55
