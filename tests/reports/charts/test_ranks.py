"""The map of ranks says where items lie, who flagged them, and where each side ends to flag."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from reports.pages.test_compare import facts

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.charts.ranks import WHO_FLAGGED, legend_mark, rank_chart
from vae_anomaly.reports.facts.compare import RankMap


def chart(**changes):
    return ElementTree.fromstring(rank_chart(facts(**changes)))  # noqa: S314 - drawn here


def named(root, class_):
    return [one for one in root.iter() if class_ in one.get("class", "").split()]


def places(marks):
    return [tuple(float(one.get(axis).rstrip("%")) for axis in ("x", "y")) for one in marks]


def test_the_strangest_item_of_both_lies_at_the_left_and_at_the_bottom():
    ranks = RankMap((1.0, 1001.0), (), ((1, 1, 3), (1000, 1000, 0), (1, 1000, 1)), True)
    marks = chart(ranks=ranks)
    assert places(named(marks, "ranks__mark--both")) == [(0.0, 100.0)]
    ((x, y),) = places(named(marks, "ranks__mark--neither"))
    assert x > 99.0
    assert y < 1.0
    ((x, y),) = places(named(marks, "ranks__mark--only-a"))
    assert x == 0.0
    assert y < 1.0


def test_items_that_changed_sides_are_drawn_over_the_others():
    ranks = RankMap((1.0, 1001.0), (), ((1, 2, 2), (2, 1, 1), (3, 3, 3), (4, 4, 0)), True)
    marks = [one.get("href") for one in named(chart(ranks=ranks), "ranks__mark")]
    assert marks == [f"#mark-{side}" for side in ("neither", "both", "only-a", "only-b")]


def test_cells_are_darker_for_more_items_and_only_drawn_where_points_are_not_all():
    cells = ((0, 0, 1), (1, 1, 30), (1, 0, 990))
    ranks = RankMap((1.0, 10.0, 1001.0), cells, (), False)
    drawn = named(chart(ranks=ranks), "ranks__cell")
    shades = [int(one.get("class").rpartition("-")[2]) for one in drawn]
    assert shades == sorted(shades)
    assert shades[-1] == 5
    assert not named(chart(ranks=replace(ranks, is_complete=True)), "ranks__cell")


def test_a_side_of_several_thresholds_ends_nowhere():
    assert len(named(chart(), "ranks__cut")) == 2
    two = replace(facts().a, thresholds=(1.5, 2.0))
    (cut,) = named(chart(a=two), "ranks__cut")
    assert cut.get("y1") == cut.get("y2")


def test_the_chart_is_told_in_words_too():
    said = "".join(chart().itertext())
    assert "1,000 items by their place in both. Spearman's rank correlation is 0.91." in said
    assert "Of the 10 strangest of each, 7 are in both." in said
    assert "Spearman" not in rank_chart(facts(correlation=Interval(np.nan, -1.0, 1.0)))


def test_one_item_alone_can_be_drawn():
    alone = RankMap((1.0, 2.0), ((0, 0, 1),), ((1, 1, 0),), True)
    assert not re.search("nan|inf", rank_chart(facts(n_common=1, ranks=alone)))


@pytest.mark.parametrize("side", WHO_FLAGGED)
def test_the_legend_shows_the_mark_of_a_side(side):
    mark = ElementTree.fromstring(legend_mark(side))  # noqa: S314 - drawn here
    assert mark.get("aria-hidden") == "true"
    assert named(mark, f"ranks__mark--{side}")
