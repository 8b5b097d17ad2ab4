"""The operating point is chosen, explained, bound to its model and stored."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures
from cli.evaluation_fixtures import labelled_transactions

from vae_anomaly import load_detector
from vae_anomaly.batch import score_tables
from vae_anomaly.tracking import log_training, show_model


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "labelled.parquet"
    labelled_transactions().to_parquet(path)
    return path


def test_tune_without_input_uses_the_held_out_normals(call_json, table_model):
    said = call_json("threshold", "tune", table_model, "--target-fpr", 0.05)
    detector = load_detector(table_model)
    scores = detector.calibration_.reference_scores()
    assert said["threshold"]["n_normals"] == len(scores)
    assert (scores > said["threshold"]["value"]).mean() <= 0.05
    assert sum(row["chosen"] for row in said["candidates"]) == 1


def test_tune_without_a_wish_takes_one_in_a_hundred_or_says_what_is_possible(call, table_model):
    code, _, err = call("threshold", "tune", table_model, "--target-fpr", 0.0001)
    assert code == 3
    assert "needs at least 9999" in err


def test_tune_prints_words_the_mark_and_the_next_command(call, table_model, tmp_path):
    code, out, _ = call(
        "threshold", "tune", table_model, "--max-alarms-per-day", 20, "--volume", 500
    )
    assert code == 0
    assert "> max_alarms" in out
    assert "alarms a day" in out
    assert "Of 500 good items a day about" in out
    assert f"Next: vae-anomaly threshold apply {table_model} threshold.json" in out
    assert (tmp_path / "threshold.json").is_file()


def test_tune_with_labels_gives_recall_precision_and_cost(call_json, table_model, labelled):
    said = call_json(
        "threshold", "tune", table_model, "--input", labelled, "--labels", "is_fraud",
        "--cost-fp", 1, "--cost-fn", 50, "--figures", "figures",
    )  # fmt: skip
    chosen = next(row for row in said["candidates"] if row["chosen"])
    assert chosen["recall"] > 0.9
    assert chosen["cost_low"] <= chosen["cost"] <= chosen["cost_high"]
    assert "of the anomalies are found" in said["words"]


@pytest.mark.parametrize(
    ("wish", "policy"),
    [
        (("--quantile", 0.9), "quantile"),
        (("--capacity", 15), "capacity"),
        (("--f-beta", 1), "f_beta"),
        (("--min-precision", 0.5), "min_precision"),
        (("--min-recall", 0.9), "min_recall"),
        (("--fdr", 0.2), "fdr"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
def test_every_wish_is_granted_on_labelled_scores(call_json, table_model, tmp_path, wish, policy):
    rows = labelled_transactions()
    scores = load_detector(table_model).anomaly_score(rows)
    frame = pd.DataFrame({"id": rows["id"], "score": scores, "is_fraud": rows["is_fraud"]})
    frame.to_csv(tmp_path / "scores.csv", index=False)
    said = call_json(
        "threshold", "tune", table_model, "--scores", "scores.csv", "--labels", "is_fraud", *wish
    )
    assert said["threshold"]["policy"] == policy


@pytest.mark.parametrize("value", ["2.31", "-0.5", "9"])
def test_a_value_is_taken_as_it_is_with_the_normals_above_it(call_json, table_model, value):
    normals = load_detector(table_model).calibration_.reference_scores()
    threshold = call_json("threshold", "tune", table_model, "--value", value)["threshold"]
    assert (threshold["value"], threshold["policy"]) == (float(value), "manual")
    above, rate = (normals > float(value)).sum(), threshold["expected_fpr"]
    assert rate["estimate"] == (above + 1) / (len(normals) + 1)
    assert rate["low"] <= above / len(normals) <= rate["high"]
    assert ("None of the" in threshold["note"]) == (above == 0)


def test_labels_kept_apart_are_joined_by_id(call_json, table_model, tmp_path):
    rows = labelled_transactions()
    scores = load_detector(table_model).anomaly_score(rows)
    pd.DataFrame({"id": rows["id"], "score": scores}).to_csv(tmp_path / "scores.csv")
    rows[["id", "is_fraud"]].sample(frac=1.0, random_state=0).to_csv(tmp_path / "labels.csv")
    said = call_json(
        "threshold", "tune", table_model, "--scores", "scores.csv",
        "--labels", "labels.csv:is_fraud", "--f-beta", 1,
    )  # fmt: skip
    assert said["threshold"]["n_anomalies"] == 12
    assert said["threshold"]["expected_recall"]["estimate"] > 0.9


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (("--min-recall", 0.9), 2, "needs labelled items"),
        (("--max-alarms-per-day", 20), 2, "Add --volume"),
        (("--target-fpr", 0.1, "--quantile", 0.9), 2, "Keep one"),
        (("--cost-fp", 1), 2, "--cost-fn"),
        (("--labels", "is_fraud"), 2, "--scores FILE or --input PATH"),
        (("--target-fpr", 1.5), 2, "range"),
        (("--input", "absent.parquet"), 3, "absent.parquet"),
    ],
    ids=["labels", "volume", "two wishes", "half a cost", "labels of nothing", "range", "no file"],
)
def test_what_cannot_be_asked_for_is_said_with_the_remedy(call, table_model, args, code, told):
    found, out, err = call("threshold", "tune", table_model, *args)
    assert (found, out) == (code, "")
    assert told in err


def test_apply_to_a_folder_changes_what_it_flags_and_nothing_else(call, table_model, tmp_path):
    folder = shutil.copytree(table_model, tmp_path / "model")
    call("threshold", "tune", folder, "--target-fpr", 0.2)
    before = load_detector(folder)
    assert call("threshold", "apply", folder, "threshold.json", "--dry-run")[0] == 0
    assert load_detector(folder).threshold_ == before.threshold_
    assert call("threshold", "apply", folder, "threshold.json")[0] == 0
    after, wanted = load_detector(folder), json.loads((tmp_path / "threshold.json").read_text())
    assert after.threshold_.value == wanted["value"] != before.threshold_.value
    rows = labelled_transactions()
    assert (after.anomaly_score(rows) == before.anomaly_score(rows)).all()
    assert call("threshold", "apply", folder, "threshold.json")[0] == 0  # same scores: still fits


def test_a_threshold_of_another_model_is_refused(call, table_model, image_model):
    call("threshold", "tune", table_model, "--target-fpr", 0.2)
    code, _, err = call("threshold", "apply", image_model, "threshold.json")
    assert code == 5
    assert "Tune one for this model" in err


def test_apply_to_an_alias_makes_a_version_and_keeps_the_evidence(call, table_model, store):
    log_training(load_detector(table_model), name="cards", uri=store, alias="champion")
    at = ("--tracking-uri", store)
    call("threshold", "tune", "models:/cards@champion", "--target-fpr", 0.2, *at)
    code, out, _ = call(
        "threshold", "apply", "models:/cards@champion", "threshold.json", *at,
        "--who", "Ada", "--reason", "one in five",
    )  # fmt: skip
    assert code == 0
    assert "version 2, alias champion moved to it" in out
    card = show_model("cards", store)
    assert card.aliases == {"champion": 2}
    code, out, _ = call("threshold", "show", "models:/cards@champion", *at)
    assert "cards/2" in out
    assert "made for" in out


def test_a_file_that_is_no_threshold_is_named(call, table_model, tmp_path):
    (tmp_path / "other.json").write_text('{"a": 1}')
    code, _, err = call("threshold", "apply", table_model, "other.json")
    assert code == 3
    assert "Not a threshold" in err


def test_the_output_of_a_scoring_job_can_be_tuned_on(call_json, table_model, tmp_path):
    rows = labelled_transactions()
    rows.drop(columns="is_fraud").to_parquet(tmp_path / "night.parquet")
    rows[["id", "is_fraud"]].to_csv(tmp_path / "labels.csv", index=False)
    score_tables(table_model, tmp_path / "night.parquet", tmp_path / "flags", id_column="id")
    said = call_json(
        "threshold", "tune", table_model, "--scores", "flags",
        "--labels", "labels.csv:is_fraud", "--min-recall", 0.9,
    )  # fmt: skip
    assert said["threshold"]["n_normals"] == 138
    assert said["threshold"]["expected_recall"]["estimate"] >= 0.8


def test_fdr_tells_of_extrapolated_flags_in_table_words_json_and_file(call, table_model, tmp_path):
    scores = [*load_detector(table_model).calibration_.reference_scores(), 9.0]
    pd.DataFrame({"id": range(len(scores)), "score": scores}).to_csv(
        tmp_path / "scores.csv", index=False
    )
    args = ("threshold", "tune", table_model, "--scores", "scores.csv", "--fdr", 0.1)
    code, out, _ = call(*args)
    assert code == 0
    assert "fdr 0.1 (extrapolated)" in out
    assert "EXTRAPOLATED: 1 of them" in out
    said = json.loads(call(*args, "--json")[1])
    assert said["threshold"]["extrapolated"]
    assert said["threshold"]["parameters"]["flagged_counted"] == 0
    assert [row["extrapolated"] for row in said["candidates"] if row["chosen"]] == [True]
    kept = json.loads((tmp_path / "threshold.json").read_text())
    assert kept["extrapolated"]
    assert "With counted p-values none would be flagged" in kept["note"]


def test_fdr_of_the_held_out_normals_is_refused(call, table_model):
    code, _, err = call("threshold", "tune", table_model, "--fdr", 0.1)
    assert code == 2
    assert "Add --scores FILE or --input PATH" in err


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_the_table_of_points_fits_the_screen_with_every_interval(
    call, table_model, labelled, monkeypatch, columns
):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = call(
        "threshold", "tune", table_model, "--input", labelled, "--labels", "is_fraud",
        "--volume", 9500, "--cost-fp", 1, "--cost-fn", 50,
    )  # fmt: skip
    shown = out[out.index("Operating points") : out.index("Next:")]
    table = out[out.index("Operating points") : out.index("The table counts")]
    assert code == 0
    assert max(map(len, shown.splitlines())) <= columns
    figures = [line for line in table.splitlines() if "%" in line][1:]
    intervals = re.findall(r"\d-\d", table)
    assert len(intervals) == 5 * len(figures)  # FPR, alarms, precision, recall, cost
    assert "cost" in table


def test_a_nested_estimate_stands_apart_from_figures_counted_on_the_same_items(
    call, call_json, table_model, labelled
):
    args = ("threshold", "tune", table_model, "--input", labelled, "--labels", "is_fraud",
            "--youden")  # fmt: skip
    said = call_json(*args)
    assert said["threshold"]["policy"] == "youden"
    stored = said["threshold"]["expected_recall"]
    assert said["nested_estimate"]["recall"]["estimate"] == stored["estimate"]
    rows = said["candidates"]  # strictest first: on the same items recall and FPR only rise
    for figure in ("recall", "fpr"):
        found = [row[figure] for row in rows]
        assert found == sorted(found)
    code, out, _ = call(*args)
    assert code == 0
    assert "> youden" in out
    assert "NESTED ESTIMATE, what to expect of it on new items" in out


def test_a_threshold_from_normals_alone_has_no_nested_estimate(call_json, table_model):
    assert call_json("threshold", "tune", table_model)["nested_estimate"] == {}


def test_the_group_column_is_respected_by_capacity(call_json, table_model, tmp_path):
    rows = labelled_transactions()
    rows["machine"] = np.arange(len(rows)) // 10
    rows.to_parquet(tmp_path / "rows.parquet")
    said = call_json(
        "threshold", "tune", table_model, "--input", "rows.parquet", "--groups", "machine",
        "--capacity", 15,
    )  # fmt: skip
    assert said["threshold"]["parameters"]["groups"] == 15
    assert "as 15 groups tell it" in said["words"]
