"""A promotion only where what was required holds, on labelled items or on normals alone."""

from __future__ import annotations

import json

import pytest
from cli.evaluation_fixtures import labelled_transactions
from tracking.real_models import copy_store

from vae_anomaly.tracking.store import session


@pytest.fixture
def gate(call, filled_store, tmp_path):
    """Promote cards/2 under rules; return (exit code, stdout, stderr)."""
    copy_store(filled_store, tmp_path / "own")
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")

    def run(*args, labels=True):
        known = ("--labels", "is_fraud") if labels else ()
        where = ("--input", "rows.parquet", *known, "--tracking-uri", tmp_path / "own")
        return call("models", "promote", "cards", 2, *args, *where)

    return run


def champion(call_json, store):
    return call_json("models", "show", "cards", "--tracking-uri", store)


def test_an_unknown_figure_lists_the_known_ones(gate):
    code, out, err = gate("--require", "auprc>=0.9")
    assert (code, out) == (2, "")
    assert "average_precision" in err


def test_a_version_that_holds_is_promoted_with_figures_on_the_record(gate, call_json, tmp_path):
    rules = ("--require", "auroc>=0.9", "--require", "fpr<=0.2", "--evidence", "spring data")
    code, out, err = gate(*rules)
    assert code == 0, err
    assert "is now version 2" in out
    told = champion(call_json, tmp_path / "own")
    assert told["aliases"] == {"champion": 2}
    assert told["promotions"][0]["evidence"].startswith("spring data; gate: auroc>=0.9: ")
    run_id = told["promotions"][0]["run_id"]
    with session(tmp_path / "own") as client:
        assert client.get_run(run_id).data.metrics["auroc"] > 0.9
        assert "gate.json" in {file.path for file in client.list_artifacts(run_id)}


def test_a_version_that_fails_is_refused_with_the_figures_and_nothing_moves(
    gate, call_json, tmp_path
):
    code, out, err = gate("--require", "auroc>=0.5", "--require", "precision.low>=0.999")
    assert code == 6
    assert "holds" in out
    assert "FAILS" in out
    assert "precision.low>=0.999: " in err
    assert champion(call_json, tmp_path / "own")["aliases"] == {"champion": 1}


def test_a_refusal_as_json_says_what_was_measured(gate):
    code, out, _ = gate("--require", "fpr.high<=0.0001", "--require", "auroc<=1", "--json")
    assert code == 6
    said = json.loads(out)["gate"]
    assert said["passed"] is False
    assert [rule["passed"] for rule in said["requirements"]] == [False, True]


def test_normals_alone_show_false_alarms_and_fail_what_needs_anomalies(gate):
    code, _, _ = gate("--require", "fpr<=0.5", labels=False)
    assert code == 0
    code, out, err = gate("--require", "fpr<=0.5", "--require", "auroc>=0.5", labels=False)
    assert code == 6
    assert "cannot be measured" in out
    assert "--labels COLUMN" in err


def test_groups_of_normals_are_resampled_whole(gate):
    wide = gate("--require", "fpr<=0.5", "--groups", "merchant", "--json", labels=False)
    fpr = json.loads(wide[1])["gate"]["figures"]["fpr"]
    assert fpr["low"] <= fpr["estimate"] <= fpr["high"]


def test_rules_without_input_are_wrong_usage(call, filled_store):
    said = call("models", "promote", "cards", 2, "--require", "auroc>=0.9",
                "--tracking-uri", filled_store)  # fmt: skip
    assert said[0] == 2
    assert "--require or --not-worse, and --input go together" in " ".join(said[2].split())
