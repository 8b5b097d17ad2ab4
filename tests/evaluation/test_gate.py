"""A gate lets a version through where every figure holds, and says what did not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from cli.evaluation_fixtures import labelled_transactions

from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.evaluation import Requirement, ScoredItems, run_gate, score_items
from vae_anomaly.evaluation.gate import gate_figures
from vae_anomaly.metrics import Interval
from vae_anomaly.tracking import register_directory, show_model

FIGURES = {
    "auroc": Interval(0.93, 0.88, 0.97),
    "fpr": Interval(0.01, 0.001, 0.03),
    "precision": Interval(math.nan, 0.0, 1.0),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("auroc>=0.9", True),
        ("auroc.low>=0.9", False),
        (" fpr <= 2e-2 ", True),
        ("fpr.high<=0.02", False),
        ("recall>=0", False),  # not measured
        ("precision.high>=0.9", False),  # nothing was flagged
    ],
)
def test_a_requirement_compares_the_estimate_or_an_end_of_its_interval(text, holds):
    assert Requirement.parse(text).judge(FIGURES).passed is holds


@pytest.mark.parametrize("text", ["auroc", "auroc>0.9", "auroc>=good", "fpr.mid<=1", "auroc>=."])
def test_a_requirement_in_another_form_is_answered_with_the_form(text):
    with pytest.raises(ConfigError, match="FIGURE>=NUMBER"):
        Requirement.parse(text)


def test_the_nearest_figure_is_offered_for_an_unknown_one():
    with pytest.raises(ConfigError, match=r"did you mean 'auroc'.*average_precision, fpr_at"):
        Requirement.parse("auroq>=0.9")


def test_items_of_one_class_show_what_that_class_can_show(table_detector):
    items = score_items(table_detector, labelled_transactions(), labels="is_fraud")
    at, flags = table_detector.threshold_, items.scores > table_detector.threshold_.value
    odd = items.take(items.labels)
    unlabelled = ScoredItems(items.ids, items.scores)
    assert {"auroc", "fpr", "recall", "f1"} <= set(gate_figures(items, at))
    assert gate_figures(odd, at)["recall"].estimate == flags[items.labels].mean()
    assert set(gate_figures(odd, at)) == {"recall"}
    assert gate_figures(unlabelled, at)["fpr"].estimate == flags.mean()
    groups = np.repeat(np.arange(15), 10).astype(str).astype(object)
    grouped = gate_figures(ScoredItems(items.ids, items.scores, groups=groups), at)["fpr"]
    assert grouped.high > gate_figures(unlabelled, at)["fpr"].high  # the odd rows share two groups


@pytest.fixture
def candidate(registered, store, table_model, tmp_path, own_cache):
    """Version 2 of cards, beside the champion version 1, and labelled rows."""
    register_directory(table_model, name="cards", alias=None, evidence="trained", uri=store)
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")

    def gate(*require: str, version: int = 2):
        source = str(tmp_path / "rows.parquet")
        return run_gate("cards", version, require, source, labels="is_fraud", evidence="May",
                        uri=store)  # fmt: skip

    return gate


def test_a_version_that_holds_moves_the_alias_on_the_record(candidate, store):
    result = candidate("auroc.low>=0.8", "recall>=0.9")
    assert result.passed
    assert (result.n_normals, result.n_anomalies) == (138, 12)
    assert show_model("cards", store).aliases == {"champion": 2}
    assert result.promotion.evidence.startswith("May; gate: auroc.low>=0.8: ")
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["passed"] is True


def test_a_version_that_fails_stays_and_says_why(candidate, store):
    result = candidate("auroc>=0.5", "fpr.high<=0.0001", "aupro>=0.1")
    assert (result.passed, result.promotion) == (False, None)
    held, failed, unknown = map(str, result.verdicts)
    assert held.startswith("auroc>=0.5: ")
    assert failed == f"fpr.high<=0.0001: {result.figures['fpr']}"
    assert unknown == "aupro>=0.1: not measured"
    assert show_model("cards", store).aliases == {"champion": 1}


def test_a_gate_that_cannot_be_read_or_a_version_that_is_not_there_moves_nothing(candidate, store):
    with pytest.raises(ConfigError, match="FIGURE>=NUMBER"):
        candidate("auroc is fine")
    with pytest.raises(ModelRefusedError):
        candidate("auroc>=0.5", version=7)
    assert show_model("cards", store).aliases == {"champion": 1}
