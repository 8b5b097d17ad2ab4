"""Probabilities from the command line: fitted, drawn, stored, refused by another model."""

from __future__ import annotations

import json
import shutil

import pytest
from cli.evaluation_fixtures import labelled_transactions

from vae_anomaly import load_detector
from vae_anomaly.tracking import relink_store, tracking_uri


@pytest.fixture
def fitted(call, table_model, tmp_path):
    """A model folder, labelled rows, and probability.json made of them."""
    shutil.copytree(table_model, tmp_path / "model")
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")
    code, out, err = call("probability", "fit", "model", "rows.parquet", "--labels", "is_fraud",
                          "--base-rate", "0.01", "--figure", "reliability.png")  # fmt: skip
    assert code == 0, err
    return out


def test_fit_tells_brier_reliability_and_base_rate_and_draws(fitted, tmp_path):
    for word in ("Brier score", "items left out", "hold where 1 % of the items", "Next:"):
        assert word in fitted
    assert (tmp_path / "reliability.png").stat().st_size > 5000


def test_apply_gives_the_model_probabilities_and_keeps_its_scores(call, fitted, tmp_path):
    rows = labelled_transactions()
    before = load_detector(tmp_path / "model").anomaly_score(rows)
    assert call("probability", "apply", "model", "probability.json", "--dry-run")[0] == 0
    assert not hasattr(load_detector(tmp_path / "model"), "predict_proba")
    code, out, err = call("probability", "apply", "model", "probability.json")
    assert (code, "has predict_proba, for 1 % of anomalies" in out) == (0, True), err
    after = load_detector(tmp_path / "model")
    assert (after.anomaly_score(rows) == before).all()
    assert after.predict_proba(rows)[rows["is_fraud"] == 1, 1].mean() > 0.1


def test_a_registered_model_gets_a_new_version(call_json, filled_store, fitted, tmp_path):
    shutil.copytree(filled_store, tmp_path / "own")
    relink_store(tracking_uri(tmp_path / "own"))
    at = ("--tracking-uri", tmp_path / "own")
    said = call_json("probability", "apply", "models:/cards@champion", "probability.json", *at)
    assert (said["version"], said["alias"]) == (3, "champion")
    card = call_json("models", "show", "cards", *at)
    assert card["promotions"][0]["evidence"].startswith("probabilities (isotonic")


def test_probabilities_of_another_model_are_refused(call, fitted, tmp_path):
    made = json.loads((tmp_path / "probability.json").read_text())
    made["model_version"] = "coins/1#0123456789abcdef"
    (tmp_path / "probability.json").write_text(json.dumps(made))
    code, _, err = call("probability", "apply", "model", "probability.json")
    assert (code, "made for coins/1" in err) == (5, True)


def test_without_labels_there_is_no_probability(call, fitted):
    code, _, err = call("probability", "fit", "model", "rows.parquet")
    assert (code, "--labels COLUMN" in err) == (3, True)
