"""Thresholds are compared on the same scores, and their history is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures

from vae_anomaly import load_detector
from vae_anomaly.tracking import log_training


def test_the_same_threshold_twice_changes_nothing(call, table_model):
    code, out, _ = call("threshold", "compare", table_model, table_model)
    assert code == 0
    assert "No item changes side" in out


def test_a_model_is_compared_with_a_file_on_its_held_out_normals(call, call_json, table_model):
    call("threshold", "tune", table_model, "--target-fpr", 0.2)
    said = call_json("threshold", "compare", table_model, "threshold.json")
    assert said["only_b"] > 0 == said["only_a"]
    assert list(said)[-2:] == ["figures", "source"]  # the counts first
    fpr = said["figures"]["fpr"]
    assert fpr["difference"]["estimate"] == pytest.approx(
        fpr["b"]["estimate"] - fpr["a"]["estimate"]
    )


def test_two_files_are_compared_on_labelled_scores(call, tmp_path, table_model):
    for rate in (0.2, 0.05):
        call("threshold", "tune", table_model, "--target-fpr", rate, "--out", f"{rate}.json")
    scores = np.linspace(0, 3, 300)
    frame = pd.DataFrame({"id": range(300), "score": scores, "bad": (scores > 2.5).astype(int)})
    frame.to_csv(tmp_path / "scores.csv", index=False)
    code, out, err = call(
        "threshold", "compare", "0.2.json", "0.05.json", "--scores", "scores.csv",
        "--labels", "bad", "--cost-fp", 1, "--cost-fn", 9, "--volume", 500,
    )  # fmt: skip
    assert code == 0, err
    for word in ("recall", "cost an item", "alarms a day", "items change side", "by A only"):
        assert word in out
    assert "Add --scores" in call("threshold", "compare", "0.2.json", "0.05.json")[2]


def test_thresholds_of_different_scores_are_not_compared(call, table_model, image_model):
    code, _, err = call("threshold", "compare", table_model, image_model)
    assert code == 5
    assert "mean something else" in err


def test_the_history_says_who_when_from_to_and_on_what_evidence(
    call, call_json, table_model, store, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    old = load_detector(table_model).threshold_.value
    log_training(load_detector(table_model), name="cards", uri=store, alias="champion")
    model = "models:/cards@champion"
    call("threshold", "tune", model, "--max-alarms-per-day", 100, "--volume", 500)
    call("threshold", "apply", model, "threshold.json", "--who", "Ada", "--reason", "quiet")
    call("models", "promote", "cards", 1)
    said = call_json("threshold", "history", "cards")
    applied, trained = said["changes"]
    assert (trained["how"], trained["version"], trained["new"]) == ("trained", 1, old)
    assert (applied["how"], applied["who"], applied["reason"]) == ("applied", "Ada", "quiet")
    assert (applied["old"], applied["made_on"], applied["policy"]) == (old, "cards/1", "max_alarms")
    assert applied["evidence"]["alarms_per_day"]["estimate"] <= 100
    assert len(applied["evidence"]["scores_sha256"]) == 64
    back, forth, _ = said["moves"]
    assert (forth["who"], forth["old"], forth["new"]) == ("Ada", old, applied["new"])
    assert (back["old"], back["new"]) == (applied["new"], old)
    _, out, _ = call("threshold", "history", "cards")
    for word in ("Ada", "max_alarms 100", "a day", "of cards/1", "quiet", "@champion"):
        assert word in out


def test_the_history_of_an_unknown_model_is_refused(call, store):
    assert call("threshold", "history", "nobody", "--tracking-uri", store)[0] == 5


@pytest.mark.parametrize("columns", [60, 80])
def test_a_history_too_wide_for_the_screen_loses_nothing(
    call, table_model, store, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    log_training(load_detector(table_model), name="cards", uri=store, alias="champion")
    at, why = ("--tracking-uri", store), "customers asked for more recall until the new year"
    call("threshold", "tune", "models:/cards@champion", "--target-fpr", 0.2, *at)
    call("threshold", "apply", "models:/cards@champion", "threshold.json", *at, "--who", "Ada",
         "--reason", why)  # fmt: skip
    code, out, _ = call("threshold", "history", "cards", *at)
    assert code == 0
    assert max(map(len, out.splitlines())) <= columns
    for word in ("Ada", "fpr 0.2", "of cards/1", why):
        assert word in " ".join(out.split())
