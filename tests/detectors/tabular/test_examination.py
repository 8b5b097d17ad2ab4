"""One pass over a row: it is encoded once, searched for once, and every answer is read from it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from vae_anomaly import load_detector
from vae_anomaly.detectors.tabular.detector import TabularVAEDetector
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.exemplars import ExemplarMemory
from vae_anomaly.detectors.tabular.network import StackedNetwork

QUICK = {"max_steps": 30, "hidden": 16, "random_state": 0}


def orders(n: int, seed: int = 0) -> pd.DataFrame:
    """Return orders whose weight follows from the number of parts, and from their material."""
    rng = np.random.default_rng(seed)
    parts = rng.integers(1, 9, n)
    material = rng.choice(["steel", "brass", "zinc"], n)
    unit = pd.Series(material).map({"steel": 2.0, "brass": 3.0, "zinc": 1.0}).to_numpy()
    weight = parts * unit * np.exp(0.05 * rng.normal(size=n))
    return pd.DataFrame({"weight": weight, "parts": parts, "material": material})


@pytest.fixture(scope="module")
def detector() -> TabularVAEDetector:
    return TabularVAEDetector(**QUICK).fit(orders(400))


@pytest.fixture(scope="module")
def conditional() -> TabularVAEDetector:
    settings = {**QUICK, "model": "conditional", "condition": "material"}
    return TabularVAEDetector(**settings).fit(orders(600))


@pytest.fixture
def strange() -> pd.DataFrame:
    rows = orders(12, seed=5)
    rows.loc[2, "weight"] = 900.0
    rows.loc[7, "material"] = "gold"
    rows.loc[9, "weight"] = np.nan
    return rows


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    """Count what costs time, without changing it."""
    counted: Counter[str] = Counter()

    def count(owner: type, method: str) -> None:
        honest = getattr(owner, method)

        def counting(self, *args, **kwargs):
            counted[method] += 1
            return honest(self, *args, **kwargs)

        monkeypatch.setattr(owner, method, counting)

    count(TableEncoder, "transform")
    count(ExemplarMemory, "search")
    count(StackedNetwork, "evidence")
    return counted


def test_a_flagged_row_is_encoded_once_and_searched_for_as_it_is_and_with_cells_made_usual(
    detector, strange, calls
):
    examination = detector.examine(strange)
    flagged = np.flatnonzero(detector.calibration_.p_value(examination.raw_score) < 0.05)
    some = examination.take(flagged)
    assert len(detector.reasons_of(some)) == len(flagged) > 0
    examination.evidence_table()
    assert calls["transform"] == 1
    assert calls["search"] == 2 * 4  # two views, each with a memory of latents and one of rows
    assert calls["evidence"] == 3  # one with cells made usual, one draws for the weighted bound


@pytest.mark.parametrize("score", ["reconstruction", "elbo", "kl"])
def test_a_score_that_compares_with_no_exemplar_searches_no_memory(calls, score):
    fit = TabularVAEDetector(score=score, **QUICK).fit(orders(60))
    calls.clear()
    fit.anomaly_score(orders(5, seed=3))
    assert calls == {"transform": 1, "evidence": 1}


def test_what_is_only_scored_is_not_explained(detector, strange, monkeypatch):
    def refuse(*args):
        raise AssertionError("a score needs no gradient")

    monkeypatch.setattr("vae_anomaly.detectors.tabular.explain.integrated_gradients", refuse)
    assert np.isfinite(detector.anomaly_score(strange)).all()


@pytest.mark.parametrize("which", ["detector", "conditional"])
def test_answers_from_one_examination_are_those_asked_one_by_one(which, strange, request):
    detector = request.getfixturevalue(which)
    examination = detector.examine(strange)
    np.testing.assert_array_equal(examination.raw_score, detector.assess(strange)["raw_score"])
    pd.testing.assert_frame_equal(
        examination.evidence_table(), detector.evidence(strange), check_exact=True
    )
    assert detector.reasons_of(examination, top=2) == detector.reasons(strange, top=2)
    np.testing.assert_array_equal(examination.main.means, detector.transform(strange))


@pytest.mark.parametrize("which", ["detector", "conditional"])
@pytest.mark.parametrize("asked_before", [True, False], ids=["scored", "fresh"])
def test_some_rows_of_an_examination_answer_as_these_rows_alone(
    which, asked_before, strange, request
):
    detector, places = request.getfixturevalue(which), np.array([9, 2, 7])
    examination, alone = detector.examine(strange), strange.iloc[places]
    if asked_before:
        examination.evidence_table()
    some = examination.take(places)
    np.testing.assert_array_equal(some.raw_score, detector.assess(alone)["raw_score"])
    pd.testing.assert_frame_equal(some.evidence_table(), detector.evidence(alone), check_exact=True)
    assert detector.reasons_of(some) == detector.reasons(alone)
    assert list(some.frame.index) == [9, 2, 7]


def test_no_rows_are_examined_to_nothing(detector, strange):
    examination = detector.examine(strange).take(np.empty(0, dtype=np.int64))
    assert (len(examination), examination.raw_score.shape, detector.reasons_of(examination)) == (
        0,
        (0,),
        [],
    )


def test_of_a_long_table_the_scores_are_kept_and_the_features_are_not(detector, monkeypatch):
    rows = orders(300, seed=8)
    whole = detector.anomaly_score(rows)
    monkeypatch.setattr("vae_anomaly.detectors.tabular.examination.BLOCK", 64)
    examination = detector.examine(rows)
    np.testing.assert_array_equal(detector.calibration_.anomaly_score(examination.raw_score), whole)
    assert set(vars(examination)) == {"model", "frame", "raw_score"}
    few = np.array([3, 250])
    some = examination.take(few)
    np.testing.assert_array_equal(some.raw_score, examination.raw_score[few])
    assert detector.reasons_of(some) == detector.reasons(rows.iloc[few])


def test_a_changed_parameter_changes_no_fitted_model(detector, strange, tmp_path):
    """What scores is what was fitted and calibrated, not what the parameters say since."""
    before = detector.anomaly_score(strange)
    detector.set_params(score="kl")
    try:
        np.testing.assert_array_equal(detector.anomaly_score(strange), before)
        again = load_detector(detector.save(tmp_path / "model"))
        np.testing.assert_array_equal(again.anomaly_score(strange), before)
    finally:
        detector.set_params(score="fused")
