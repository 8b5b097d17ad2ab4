import re
from dataclasses import replace

import pytest
from reports.pages.made import THRESHOLD, empty, images

from vae_anomaly.reports.charts.histogram import score_axis, score_histogram, score_range
from vae_anomaly.reports.facts.night import Histogram


def drawn(counts, normal, *, edges=(0.0, 1.0, 2.0, 3.0), is_open=False):
    night = replace(images(), histogram=Histogram(edges, counts, normal, is_open))
    return night, score_histogram(night, 2.0, "image")


def bars(drawing):
    group = re.search(r'<g id="bars">(.*?)</g>', drawing)[1]
    return [float(height) for height in re.findall(r' height="([\d.]+)%"', group)]


def test_one_item_among_ten_thousand_has_a_bar_and_none_has_none():
    _, drawing = drawn((10000, 0, 1), (10000.0, 1.0, 0.1))
    high, low = bars(drawing)
    assert 90 < high < 100
    assert 5 < low < 20


def test_the_threshold_stands_where_its_score_is():
    _, drawing = drawn((5, 5, 5), (1.0, 1.0, 1.0))
    assert 'id="above-edge" x="66.667%"' in drawing
    assert re.search(r'<line x1="66\.667%"[^>]* id="threshold-line"', drawing)


def test_a_night_without_held_out_normals_has_no_outline():
    _, drawing = drawn((5, 5, 5), (0.0, 0.0, 0.0))
    assert ' d=""' in drawing


def test_an_open_last_bin_is_marked():
    night, drawing = drawn((5, 5, 5), (1.0, 1.0, 1.0), is_open=True)
    assert "Score 2 and more: 5 images" in drawing
    assert ">3+</text>" in score_axis(score_range(night))


def test_the_drawing_is_told_in_words():
    drawing = score_histogram(images(), THRESHOLD, "image")
    assert "Above the threshold of 2.301 lie 37." in drawing
    assert "by 1,200 held-out normal images." in drawing


@pytest.mark.parametrize("edges", [(), (1.0,), (1.0, 1.0)])
def test_where_there_is_no_range_nothing_is_drawn(edges):
    night = replace(empty(), histogram=Histogram(edges, (0,) * (len(edges) - 1), ()))
    assert score_range(night) is None
