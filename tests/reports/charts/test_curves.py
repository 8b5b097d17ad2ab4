"""Curves as inline SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from vae_anomaly.reports.charts.curves import (
    held_out_plot,
    latent_plot,
    loss_plots,
    precision_plot,
    reliability_plot,
    roc_plot,
)
from vae_anomaly.reports.facts.model import LatentMap
from vae_anomaly.reports.facts.training import LossCurves, RankingPoints

POINTS = RankingPoints(
    fpr=(0.0, 0.0, 0.1, 1.0),
    recall=(0.0, 0.5, 0.8, 1.0),
    precision=(1.0, 1.0, 0.4, 0.1),
    at=(0.1, 0.8, 0.4),
    base_rate=0.1,
)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]  # noqa: S314 - ours


def test_axes_are_named_and_the_operating_point_is_marked():
    roc = roc_plot(POINTS, "roc")
    assert {"false-positive rate", "recall"} <= set(texts(roc.svg))
    assert roc.svg.count("plot__point") == 1
    assert "80% of the anomalies are found" in roc.note
    assert "precision" in texts(precision_plot(POINTS, "pr").svg)


def test_lines_are_told_apart_by_more_than_colour():
    losses = LossCurves(
        (0, 50, 100), (("train_nll", (3.0, 2.0, 1.5)), ("val_nll", (3.1, None, 1.8))), 50
    )
    (plot,) = loss_plots(losses)
    assert {style for style, _ in plot.key} == {"first", "second"}
    assert {"step", "nats"} <= set(texts(plot.svg))


def test_names_on_the_map_stay_text():
    shown = LatentMap(("latent 3", "latent 7"), ((0.0, 0.1), (1.0, 1.0)), (("<b>&", 1.0, 2.0),))
    plot = latent_plot(shown)
    assert "<b>" not in plot.svg
    assert "&lt;b&gt;&amp;" in plot.svg
    assert "latent 3" in texts(plot.svg)


def test_scores_of_held_out_normals_are_drawn_with_the_threshold():
    plot = held_out_plot((0.0, 0.3, 0.7, 1.2), 1.0, 4)
    assert "plot__threshold" in plot.svg
    assert "share of normals above" in texts(plot.svg)


def test_without_bins_there_is_no_reliability():
    assert reliability_plot({"reliability": []}) is None
