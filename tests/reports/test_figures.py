"""Figures show the operating point, and are written whole or not at all, beside their report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from scoring.test_probability import two_gaussians

from vae_anomaly.errors import StorageError
from vae_anomaly.reports import (
    evaluation_figures,
    heatmap_panel_figure,
    latent_map_figure,
    reliability_figure,
    score_histogram_figure,
    training_figures,
    traversal_figure,
    write_evaluation,
    write_figures,
)
from vae_anomaly.scoring.probability import calibrate_probability
from vae_anomaly.vae.training import History

SCORES = np.append(np.linspace(0.0, 2.0, 40), [3.0, 4.0])
LABELS = np.repeat([0, 1], [40, 2])
REPORT = {"n_normals": 40, "threshold": {"value": 2.5}}


@pytest.fixture
def scored(rng):
    return np.append(rng.normal(0, 1, 200), rng.normal(3, 1, 20)), np.repeat([0, 1], [200, 20])


def test_without_labels_only_the_histogram_is_drawn(scored):
    assert set(evaluation_figures(scored[0], None, 1.0)) == {"score_histogram"}


def test_the_point_of_each_curve_is_the_rate_at_the_threshold(scored):
    scores, labels = scored
    figures = evaluation_figures(scores, labels, 2.0)
    flags = scores > 2.0
    x, y = figures["roc"].axes[0].lines[-1].get_xydata()[0]
    assert (x, y) == pytest.approx((flags[labels == 0].mean(), flags[labels == 1].mean()))
    recall, precision = figures["precision_recall"].axes[0].lines[-1].get_xydata()[0]
    assert (recall, precision) == pytest.approx((flags[labels == 1].mean(), labels[flags].mean()))


def test_an_evaluation_is_a_document_and_its_figures(tmp_path):
    written = write_evaluation(REPORT, SCORES, LABELS, tmp_path / "new" / "folder")
    assert (
        {path.name for path in (tmp_path / "new" / "folder").iterdir()}
        == {path.name for path in written}
        == {"evaluation.json", "score_histogram.png", "roc.png", "precision_recall.png"}
    )
    assert json.loads(written[0].read_text()) == REPORT
    with Image.open(written[1]) as figure:
        assert figure.format == "PNG"


def test_without_labels_there_is_one_figure(tmp_path):
    assert [p.name for p in write_figures(SCORES, None, 2.5, tmp_path)] == ["score_histogram.png"]


def test_a_place_that_cannot_be_written_is_named_and_left_as_it_was(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="file"):
        write_figures(SCORES, None, 2.5, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def drawn_figures():
    rng = np.random.default_rng(0)
    records = [{"step": i, "train_nll": 2.0 / (i + 1), "val_elbo": -3.0} for i in range(3)]
    image, heat = np.full((20, 30), 9, np.uint8), np.zeros((1, 10, 15), np.float32)
    return {
        **evaluation_figures(SCORES, LABELS, 2.5),
        "labelled_histogram": score_histogram_figure(SCORES, LABELS, 2.5),
        **training_figures(SCORES, 2.5, History(records=records, best_step=1)),
        "reliability": reliability_figure(calibrate_probability(*two_gaussians())),
        "latent_map": latent_map_figure(rng.normal(size=(40, 3)), np.arange(40) > 37),
        "heatmap_panel": heatmap_panel_figure([image], heat, level=5.0, names=["a.png"]),
        "traversal": traversal_figure(np.zeros((1, 2, 8, 8), np.float32), [4], [-1.0, 0.0]),
    }


def words_of(figure):
    return " | ".join(text.get_text() for text in figure.findobj(Text) if text.get_text())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("score_histogram", ["Scores of 42 held-out normals", "-log10 p", "threshold 2.5"]),
        ("roc", ["ROC", "false-positive rate, share of normals", "recall, share of anomalies"]),
        ("precision_recall", ["Precision over recall", "precision, share of flags"]),
        ("loss_curves", ["Training", "nats an item", "step of training", "val_elbo"]),
        ("reliability", ["Brier score", "probability of an anomaly", "95 % intervals"]),
        ("latent_map", ["Latent map of 40", "sd of the prior", "of the variance", "anomaly (2)"]),
        ("heatmap_panel", ["outlined at 5.0 sd", "heat, sd of held-out normals", "a.png"]),
        ("traversal", ["What each latent does", "value of the latent, sd of the prior", "z4"]),
    ],
)
def test_a_figure_says_what_it_shows_in_which_unit(name, words):
    said = words_of(drawn_figures()[name])
    assert [word for word in words if word not in said] == []


def test_anomalies_are_told_by_more_than_colour():
    figures = drawn_figures()
    hatches = {patch.get_hatch() for patch in figures["labelled_histogram"].axes[0].patches}
    assert len(hatches) == 2
    normal, odd = figures["latent_map"].axes[0].collections
    assert len(normal.get_paths()[0].vertices) != len(odd.get_paths()[0].vertices)
