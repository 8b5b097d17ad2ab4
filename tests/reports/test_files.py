"""Reports are written whole or not at all, beside their figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.errors import StorageError
from vae_anomaly.reports import write_evaluation, write_figures

SCORES = np.append(np.linspace(0.0, 2.0, 40), [3.0, 4.0])
LABELS = np.repeat([0, 1], [40, 2])
REPORT = {"n_normals": 40, "threshold": {"value": 2.5}}


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
