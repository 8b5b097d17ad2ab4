"""Figures show the operating point, and are written whole or not at all, beside their report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.errors import StorageError
from vae_anomaly.reports import evaluation_figures, write_evaluation, write_figures

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
