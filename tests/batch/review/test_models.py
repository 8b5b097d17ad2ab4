"""A folder of results tells of the models that scored there, and of the runs that did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vae_anomaly import load_detector
from vae_anomaly.batch import night_keys, read_manifest, read_scoring_facts, score_tables
from vae_anomaly.batch.asked import pinned
from vae_anomaly.batch.output.ledger import MOST_NIGHTS, Ledger
from vae_anomaly.batch.review.models import MOST_HELD_OUT, scoring_facts
from vae_anomaly.errors import DataError
from vae_anomaly.files import sha256_of
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking import resolve


def test_the_facts_are_those_of_the_model_that_scored(days, table_model, tmp_path):
    summary = score_tables(table_model, days, tmp_path / "out")
    (facts,) = read_scoring_facts(tmp_path / "out", read_manifest(tmp_path / "out")).values()
    detector = load_detector(table_model)
    assert (facts.digest, facts.version) == (summary.model_digest, summary.model_version)
    assert (facts.kind, facts.n_held_out) == ("tabular", detector.calibration_.n)
    assert Threshold.from_dict(facts.threshold) == detector.threshold_
    np.testing.assert_allclose(facts.held_out, detector.calibration_.reference_scores())
    assert facts.fingerprint == detector.fingerprint_


def test_of_many_held_out_normals_quantiles_are_kept(table_model):
    detector = load_detector(table_model)
    detector.calibration_ = type(detector.calibration_).fit(np.arange(50_000.0))
    facts = scoring_facts(pinned(resolve(table_model), "tabular"), detector)
    assert (len(facts.held_out), facts.n_held_out) == (MOST_HELD_OUT, 50_000)
    scores = detector.calibration_.reference_scores()
    assert (facts.held_out[0], facts.held_out[-1]) == (scores[0], scores[-1])
    assert facts.held_out == tuple(sorted(facts.held_out))


def test_held_out_normals_keep_their_groups(table_model):
    detector = load_detector(table_model)
    groups = np.repeat(np.arange(1_000), 5)
    detector.calibration_ = type(detector.calibration_).fit(np.arange(5_000.0))
    detector.calibration_groups_ = groups
    facts = scoring_facts(pinned(resolve(table_model), "tabular"), detector)
    scores = detector.calibration_.reference_scores()
    assert (len(facts.held_out), len(facts.groups)) == (MOST_HELD_OUT, MOST_HELD_OUT)
    places = np.searchsorted(scores, facts.held_out)
    np.testing.assert_array_equal(scores[places], facts.held_out)
    np.testing.assert_array_equal(groups[places], facts.groups)


def test_another_model_leaves_no_facts_of_the_first(days, table_model, tmp_path, hashes):
    other = load_detector(table_model).set_threshold(Threshold(value=9.0)).save(tmp_path / "other")
    score_tables(table_model, days, tmp_path / "out")
    score_tables(other, days, tmp_path / "out")
    (facts,) = read_scoring_facts(tmp_path / "out", read_manifest(tmp_path / "out")).values()
    assert facts.threshold["value"] == 9.0
    score_tables(other, days, tmp_path / "undisturbed")
    assert hashes(tmp_path / "out") == hashes(tmp_path / "undisturbed")


def test_two_models_of_one_folder_are_both_told(days, table_model, tmp_path):
    other = load_detector(table_model).set_threshold(Threshold(value=9.0)).save(tmp_path / "other")
    score_tables(table_model, days / "2026-01-01.parquet", tmp_path / "out")
    score_tables(other, days / "2026-01-02.parquet", tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    facts = read_scoring_facts(tmp_path / "out", manifest)
    assert facts.keys() == {entry["model_digest"] for entry in manifest["partitions"]}
    assert len(facts) == 2


def test_each_run_is_a_night_and_the_same_one_again_is_none(days, table_model, tmp_path):
    one, two = days / "2026-01-01.parquet", days / "2026-01-02.parquet"
    for night in (one, one, two):
        score_tables(table_model, night, tmp_path / "out")
    assert night_keys(read_manifest(tmp_path / "out")) == [["2026-01-01"], ["2026-01-02"]]
    score_tables(table_model, [one, two], tmp_path / "out")
    assert night_keys(read_manifest(tmp_path / "out"))[-1] == ["2026-01-01", "2026-01-02"]


def test_only_the_last_nights_are_remembered(tmp_path, days, table_model):
    score_tables(table_model, days, tmp_path / "out")
    with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
        for _ in range(MOST_NIGHTS):
            ledger.record_night(["2026-01-01"])
            ledger.record_night(["2026-01-02", "gone"])
        assert len(ledger.nights()) == MOST_NIGHTS
        assert ledger.nights()[-1] == ["2026-01-02"]


HOSTILE = {
    "../../model-0123456789ab.json": "{}",
    "review/model-0123456789ab.json": "{}",
    "review/model-0123456789ac.json": "[" * 100_000,
}


@pytest.mark.parametrize(("name", "text"), HOSTILE.items())
def test_what_tells_of_no_model_is_refused(name, text, tmp_path):
    out: Path = tmp_path / "a" / "b"
    (out / "review").mkdir(parents=True)
    (out / name).write_text(text)
    with pytest.raises(DataError, match="Score the input again"):
        read_scoring_facts(out, {"models": {name: sha256_of(text)}})


def test_facts_under_the_name_of_another_model_are_refused(days, table_model, tmp_path):
    out = tmp_path / "out"
    score_tables(table_model, days, out)
    (name,) = read_manifest(out)["models"]
    facts = json.loads((out / name).read_text()) | {"digest": "f" * 64}
    (out / name).write_text(json.dumps(facts))
    with pytest.raises(DataError, match="another model"):
        read_scoring_facts(out, {"models": {name: sha256_of(out / name)}})
    with pytest.raises(DataError, match="SHA-256"):
        read_manifest(out)


def test_a_folder_of_an_earlier_version_tells_of_no_model(tmp_path):
    assert read_scoring_facts(tmp_path, {"partitions": []}) == {}
