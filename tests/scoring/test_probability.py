"""Probabilities of anomalies: against the closed form, on items left out, absent without labels."""

from __future__ import annotations

import numpy as np
import pytest
from cli.evaluation_fixtures import labelled_transactions
from tracking.real_models import table_model, transactions  # noqa: F401 - fixture

from vae_anomaly import load_detector
from vae_anomaly.errors import CalibrationError, ConfigError, DataError
from vae_anomaly.scoring.probability import ScoreProbability, calibrate_probability

METHODS = pytest.mark.parametrize("method", ["isotonic", "sigmoid"])


def two_gaussians(n_normals=8000, n_anomalies=800, seed=0):
    rng = np.random.default_rng(seed)
    scores = np.r_[rng.normal(0, 1, n_normals), rng.normal(2, 1, n_anomalies)]
    return scores, np.repeat([0, 1], [n_normals, n_anomalies])


def bayes(scores, base_rate):
    """P(anomaly) of N(0, 1) against N(2, 1)."""
    return 1 / (1 + (1 - base_rate) / base_rate * np.exp(2 - 2 * np.asarray(scores)))


@METHODS
def test_two_gaussians_get_the_probability_of_bayes(method):
    scores, labels = two_gaussians()
    at = np.linspace(-1, 3, 9)
    found = calibrate_probability(scores, labels, method)
    np.testing.assert_allclose(found.predict(at), bayes(at, 1 / 11), atol=0.06)
    moved = found.at_base_rate(0.5)
    np.testing.assert_allclose(moved.predict(at)[3:6], bayes(at, 0.5)[3:6], atol=0.1)


@METHODS
def test_a_higher_score_never_gets_a_lower_probability_and_none_is_certain(method):
    scores, labels = two_gaussians(200, 20)
    found = calibrate_probability(scores, labels, method).predict(np.linspace(-50, 50, 500))
    assert np.all(np.diff(found) >= 0)
    assert 0 < found[0] < found[-1] < 1


@METHODS
def test_scores_without_meaning_are_not_better_than_the_base_rate_on_items_left_out(method):
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=300), np.repeat([0, 1], [240, 60])
    scores[labels == 1] += 1e-3  # so that a rising map can be fitted at all
    try:
        found = calibrate_probability(scores, labels, method)
    except CalibrationError:  # the sigmoid may see them fall
        return
    assert found.brier.estimate > 0.95 * found.brier_of_base_rate


def test_items_of_one_group_are_left_out_together():
    rng = np.random.default_rng(0)  # each part is seen 20 times, and its score is its own
    score, label = rng.normal(size=40), np.tile([0, 1], 20)
    scores, labels, parts = (np.repeat(a, 20) for a in (score, label, np.arange(40)))
    alone = calibrate_probability(scores, labels, "isotonic")
    whole = calibrate_probability(scores, labels, "isotonic", parts)
    assert whole.brier.estimate > alone.brier.estimate


def test_the_intervals_of_the_reliability_hold_what_was_said():
    bins = calibrate_probability(*two_gaussians(), "sigmoid").reliability
    inside = [b.observed.low <= b.predicted <= b.observed.high for b in bins]
    assert sum(b.n for b in bins) == 8800
    assert np.mean(inside) >= 0.8


@pytest.mark.parametrize(
    ("labels", "told"),
    [([0, 0, 0, 0], "without anomalies"), ([0, 0, 0, 1], "at least 2 anomalies")],
)
def test_too_few_labels_are_refused(labels, told):
    with pytest.raises(CalibrationError, match=told):
        calibrate_probability([1.0, 2.0, 3.0, 4.0], labels)


def test_anomalies_that_score_lower_are_refused_by_the_sigmoid():
    scores, labels = two_gaussians(200, 50)
    with pytest.raises(CalibrationError, match="score lower than normals"):
        calibrate_probability(-scores, labels, "sigmoid")


def test_a_score_that_is_not_finite_gets_no_probability():
    found = calibrate_probability(*two_gaussians(200, 20))
    with pytest.raises(CalibrationError, match="not finite"):
        found.predict([np.nan])


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_an_impossible_base_rate_is_refused(rate):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        calibrate_probability(*two_gaussians(200, 20)).at_base_rate(rate)


def test_it_survives_json_and_another_file_is_refused(tmp_path):
    found = calibrate_probability(*two_gaussians(200, 20)).at_base_rate(0.01)
    found.save(tmp_path / "p.json")
    assert ScoreProbability.load(tmp_path / "p.json") == found
    (tmp_path / "other.json").write_text('{"value": 2.0}')
    with pytest.raises(DataError, match="probability fit"):
        ScoreProbability.load(tmp_path / "other.json")


def test_a_detector_has_no_predict_proba_until_labels_calibrated_it(table_model, tmp_path):
    detector, rows = load_detector(table_model), labelled_transactions()
    assert not hasattr(detector, "predict_proba")
    with pytest.raises(AttributeError) as caught:
        detector.predict_proba(rows)
    assert "probability fit MODEL INPUT --labels COLUMN" in str(caught.value.__cause__)
    scores = detector.anomaly_score(rows)
    detector.set_probability(calibrate_probability(scores, rows["is_fraud"], "sigmoid"))
    said = detector.predict_proba(rows)
    assert said.shape == (len(rows), 2)
    np.testing.assert_allclose(said.sum(axis=1), 1.0)
    again = load_detector(detector.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.predict_proba(rows), said)
    np.testing.assert_array_equal(again.anomaly_score(rows), scores)
    assert not hasattr(again.set_probability(None), "predict_proba")


def test_a_new_fit_forgets_the_probability_of_the_old_scores(table_model):
    detector = load_detector(table_model)
    detector.set_probability(calibrate_probability(*two_gaussians(200, 20)))
    assert not hasattr(detector.fit(transactions(60, seed=1)), "predict_proba")


def test_a_model_without_probability_is_saved_as_before(table_model, tmp_path):
    saved = load_detector(table_model).save(tmp_path / "model")
    for name in ("detector.json", "SHA256SUMS"):
        assert (saved / name).read_bytes() == (table_model / name).read_bytes()


@pytest.mark.parametrize(
    "changed",
    [
        {"scores": [0.0, 1.0]},
        {"scores": [], "probabilities": []},
        {"scores": [1.0, 0.0, 2.0]},
        {"probabilities": [0.1, 0.5, 1.0]},
        {"probabilities": [0.1, 0.5, float("nan")]},
        {"method": "sigmoid"},
    ],
    ids=str,
)
def test_a_map_that_no_fit_makes_is_refused(changed):
    fields = calibrate_probability([0.0, 1.0, 2.0, 3.0], [0, 0, 1, 1]).to_dict()
    fields |= {"scores": [0.0, 1.0, 2.0], "probabilities": [0.1, 0.5, 0.9]}
    ScoreProbability.from_dict(fields)
    with pytest.raises(DataError, match="Not a calibrated probability"):
        ScoreProbability.from_dict(fields | changed)


def test_something_else_is_no_probability(table_model):
    with pytest.raises(ConfigError, match="takes a ScoreProbability"):
        load_detector(table_model).set_probability(0.5)
