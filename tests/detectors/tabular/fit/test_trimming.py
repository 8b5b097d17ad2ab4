"""Unmarked anomalies among the training rows: what ``contamination=`` does about them."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from vae_anomaly import TabularVAEDetector, load_detector
from vae_anomaly.detectors.tabular.fit.folds import Fold
from vae_anomaly.detectors.tabular.fit.trimming import neighbour_distances, trim, usual_scores
from vae_anomaly.errors import ConfigError

QUICK = {"max_steps": 60, "hidden": 16, "random_state": 0}
MIX = np.array([[1.0, 0.5, -1.0, 0.3], [0.0, 1.0, 0.7, -0.8]])


def normals(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(n, 2)) @ MIX + 0.1 * rng.normal(size=(n, 4))


def clump(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.array([2.5, -2.5, 2.5, 2.5]) + 0.02 * rng.normal(size=(n, 4))


@pytest.fixture(scope="module")
def planted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training rows with 4 % in a tight clump, rows to score, and which of them are anomalies."""
    rng = np.random.default_rng(0)
    train = rng.permutation(np.vstack([normals(400, rng), clump(16, rng)]))
    test = np.vstack([normals(600, rng), clump(100, rng)])
    return train, test, np.repeat([0, 1], [600, 100])


@pytest.fixture(scope="module")
def detector(planted) -> TabularVAEDetector:
    return TabularVAEDetector(contamination=0.04, **QUICK).fit(planted[0])


def test_a_planted_clump_hides_its_kind_without_and_not_with_contamination(planted, detector):
    train, test, y = planted
    plain = TabularVAEDetector(**QUICK).fit(train)
    assert roc_auc_score(y, plain.assess(test)["raw_score"]) < 0.6
    assert roc_auc_score(y, detector.assess(test)["raw_score"]) > 0.99


def test_the_threshold_flags_the_clump_and_few_normals(planted, detector):
    _, test, y = planted
    flagged = detector.predict(test) == -1
    assert flagged[y == 1].mean() > 0.9
    assert flagged[y == 0].mean() < 0.03


def test_metrics_and_log_tell_how_many_rows_were_left_out(planted, detector, caplog):
    assert detector.metrics_["trimmed_rows"] == np.ceil(0.08 * 416)
    assert detector.metrics_["fit_rows"] == 416 - detector.metrics_["trimmed_rows"]
    dropped = detector.metrics_["dropped_held_out"]
    assert 0 < dropped <= 16
    assert detector.metrics_["held_out_rows"] == 416 - dropped
    with caplog.at_level(logging.INFO, logger="vae_anomaly"):
        TabularVAEDetector(max_steps=3, contamination=0.01, random_state=0).fit(planted[0])
    assert "left out the 9 strangest training rows" in caplog.text


def test_a_trimmed_detector_scores_and_explains_alike_after_loading(planted, detector, tmp_path):
    again = load_detector(detector.save(tmp_path / "model"))
    rows = planted[1][590:610]
    assert again.contamination == 0.04
    np.testing.assert_array_equal(again.anomaly_score(rows), detector.anomaly_score(rows))
    np.testing.assert_array_equal(again.explain(rows), detector.explain(rows))
    assert np.allclose(again.explain(rows).sum(axis=1), again.assess(rows)["raw_score"])


def test_without_contamination_no_row_is_left_out(planted):
    plain, zero = (TabularVAEDetector(max_steps=3, random_state=0, **c).fit(planted[0][:60])
                   for c in ({}, {"contamination": 0.0}))  # fmt: skip
    np.testing.assert_array_equal(plain.anomaly_score(planted[1]), zero.anomaly_score(planted[1]))
    assert zero.metrics_["fit_rows"] == zero.metrics_["held_out_rows"] == 60
    assert "trimmed_rows" not in zero.metrics_


@pytest.mark.parametrize("share", [-0.01, 0.5, 1.0, float("nan")])
def test_a_share_outside_0_to_a_half_is_refused(share):
    with pytest.raises(ConfigError, match=r"'contamination' .* a number in \[0, 0.5\)"):
        TabularVAEDetector(contamination=share).fit(np.zeros((20, 2)))


@pytest.mark.parametrize(
    "options",
    [
        {"contamination": 0.49},
        {"contamination": 0.1, "model": "autoencoder"},
        {"contamination": 0.1, "preset": "fast", "score": "elbo"},
    ],
    ids=["nearly half of ten rows", "no prior", "one view"],
)
def test_few_rows_and_other_models_can_be_trimmed(options):
    rows = normals(10, np.random.default_rng(3))
    fit = TabularVAEDetector(max_steps=3, hidden=4, random_state=0, **options).fit(rows)
    assert np.isfinite(fit.anomaly_score(rows)).all()


def test_groups_do_not_vouch_for_each_other_when_rows_are_trimmed():
    rng = np.random.default_rng(5)
    twins = np.repeat(rng.normal(size=(1, 4)) * 30.0, 25, axis=0)
    rows, groups = np.vstack([normals(200, rng), twins]), np.r_[np.arange(200), np.full(25, 200)]
    alone, _ = neighbour_distances(rows.astype(np.float32), 20, 20)
    grouped, _ = neighbour_distances(rows.astype(np.float32), 20, 20, groups)
    assert alone[200:].max() < 0.1  # single precision
    assert grouped[200:].min() > grouped[:200].max()


def test_distances_agree_with_scikit_learn_beyond_one_block():
    rows = np.random.default_rng(6).normal(size=(1_100, 3)).astype(np.float32)
    near, beyond = neighbour_distances(rows, 20, 40)
    expected = NearestNeighbors(n_neighbors=41).fit(rows).kneighbors(rows)[0][:, 1:]
    np.testing.assert_allclose(near, expected[:, :20].mean(axis=1), rtol=1e-3)
    np.testing.assert_allclose(beyond, expected[:, -1], rtol=1e-3)


def test_trimming_drops_twice_the_share_and_keeps_a_validation_row():
    fold = Fold(np.arange(100)[::-1], np.array([0, 1]), np.arange(100, 120))
    strange = np.r_[np.zeros(90), np.arange(10.0) + 1]  # of rows 9 to 0
    trimmed = trim(fold, strange, 0.05)
    assert trimmed.fit.tolist() == list(range(99, 9, -1))
    assert trimmed.validation.tolist() == [0, 1]  # none was left
    assert trim(fold, strange, 0.001).fit.size == 98
    assert trim(fold, strange, 0.45).fit.size == 50


def test_held_out_scores_are_dropped_only_above_the_widest_gap_of_the_largest():
    scores = np.r_[np.arange(95.0), 200.0, 201.0, 202.0, 203.0, 204.0]
    assert usual_scores(scores, 0.0).all()
    assert np.flatnonzero(~usual_scores(scores, 0.05)).tolist() == [95, 96, 97, 98, 99]
    assert (~usual_scores(scores, 0.2)).sum() == 5
    assert (~usual_scores(np.ones(100), 0.1)).sum() == 0
