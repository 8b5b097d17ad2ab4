"""The page of a night is written by every score, by command, and never instead of the results."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
from tracking.real_models import transactions

from vae_anomaly.batch import read_results, read_summary
from vae_anomaly.jobs.report.night.facts import Wanted, night_facts
from vae_anomaly.metrics import is_flagged


def island_of(page):
    """Return what the page was given to show."""
    html = page.read_text(encoding="utf-8")
    start = html.index('id="facts">') + len('id="facts">')
    return json.loads(html[start : html.index("</script>", start)])


def test_score_writes_the_page_and_names_it_last_and_the_slider_counts_what_is_flagged(
    call, call_json, rows, table_model, tmp_path, monkeypatch
):
    code, out, err = call("score", "table", table_model, rows, "--out", "flags")
    assert code == 0, err
    assert out.splitlines()[-1] == "Report: flags/report.html"
    results, facts = read_results("flags"), night_facts("flags")
    assert facts.n_flagged == results["is_anomaly"].sum()
    for step in facts.steps:
        assert step.flagged == is_flagged(results["score"], step.value).sum()
    alarms = facts.expected_false_alarms
    assert alarms.low <= alarms.estimate <= alarms.high < 300
    shown = island_of(tmp_path / "flags" / "report.html")
    assert shown["n_flagged"] == facts.n_flagged
    assert len(shown["steps"]) == len(facts.steps)
    assert call_json("report", "--compare", "flags", "flags")["report"] == "report.html"
    assert (tmp_path / "report.html").is_file()
    said = call_json("report", "flags", "--out", "here.html")
    assert (said["report"], said["flagged"]) == ("here.html", facts.n_flagged)
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert "No browser could be opened here" in call("report", "flags", "--open")[2]

    labels = results.assign(verdict=results["is_anomaly"].map({True: "confirmed", False: "no"}))
    labels[["id", "verdict"]].to_csv("labels.csv", index=False)
    judged = night_facts("flags", Wanted(verdicts="labels.csv", costs=(1.0, 50.0)))
    now = next(step for step in judged.steps if step.value == judged.scoring.threshold["value"])
    assert now.precision.high == pytest.approx(1.0, abs=0.02)
    assert now.recall is not None
    assert now.cost is not None

    part = tmp_path / "flags" / "part-rows.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    code, _, err = call("report", "flags")
    assert code == 3
    assert "its SHA-256 differs. Run again" in err


def test_a_night_with_too_many_bad_rows_ends_with_4_and_has_its_page(call, table_model, tmp_path):
    frame = transactions(60, seed=9).astype({"amount": object})
    frame.loc[:20, "amount"] = "broken"
    frame.to_csv("bad.csv", index=False)
    code, _, err = call("score", "table", table_model, "bad.csv", "--out", "flags")
    assert code == 4
    assert "Report: flags/report.html" in err
    shown = island_of(tmp_path / "flags" / "report.html")
    assert shown["quarantine"][0]["count"] == 21
    assert "more than the 5.0% allowed" in shown["notices"][0]["text"]


def test_a_page_drawn_later_knows_the_limit_of_its_run(call, call_json, table_model, tmp_path):
    frame = transactions(60, seed=9).astype({"amount": object})
    frame.loc[:20, "amount"] = "broken"
    frame.to_csv("bad.csv", index=False)
    wide = ("--max-bad-fraction", 0.5)
    assert call("score", "table", table_model, "bad.csv", "--out", "flags", *wide)[0] == 0
    notices = call_json("report", "flags")["notices"]
    assert not [one for one in notices if "allowed" in one["text"]]


def test_the_inspect_command_of_a_row_runs_wherever_the_page_is_read(
    call, call_json, table_model, tmp_path, monkeypatch
):
    folder = tmp_path / "input" / "of the night"
    folder.mkdir(parents=True)
    night = transactions(200, seed=11)
    night.loc[7, "amount"] = 1e5
    night.to_csv(folder / "day.csv", index=False)
    assert call("score", "table", table_model, tmp_path / "input", "--out", "flags")[0] == 0
    page = island_of(tmp_path / "flags" / "report.html")
    item, row = page["items"][0], page["items"][0]["row"]
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    command = ["inspect", table_model, f"{row['source']}:{row['row']}"]  # as details.js makes it
    said = call_json(*command)["items"][0]
    assert row["row"] == 8
    assert said["anomaly_score"] == pytest.approx(item["score"])


def test_a_page_that_cannot_be_written_is_a_warning_and_the_night_stands(
    call_json, rows, table_model, tmp_path, caplog
):
    (tmp_path / "flags" / "report.html").mkdir(parents=True)
    said = call_json("score", "table", table_model, rows, "--out", "flags")
    assert (said["report"], said["rows_out"]) == (None, 300)
    assert "The report was not written" in caplog.text
    said = call_json("score", "table", table_model, rows, "--out", "other", "--no-report")
    assert said["report"] is None
    assert not (tmp_path / "other" / "report.html").exists()


def test_what_is_neither_results_nor_a_model_is_refused(call, tmp_path):
    for target, why in (("nowhere", "is not there"), (str(tmp_path), "holds no results")):
        code, _, err = call("report", target)
        assert (code, why in err) == (3, True)


def test_the_command_that_the_slider_prints_makes_the_threshold(call, rows, table_model, tmp_path):
    shutil.copytree(table_model, tmp_path / "model")
    assert call("score", "table", "model", rows, "--out", "flags", "--no-report")[0] == 0
    command = night_facts("flags", Wanted("model")).threshold_command
    for one in command.replace("{value}", "2.31").split(" && "):
        assert call(*shlex.split(one)[1:])[0] == 0
    assert json.loads((tmp_path / "model" / "threshold.json").read_text())["value"] == 2.31


def test_a_registered_model_has_the_page_logged_once_and_no_store_is_made(
    call, rows, table_model, filled_store, tmp_path
):
    from mlflow import MlflowClient

    shutil.copytree(filled_store, tmp_path / "store")
    assert call("models", "relink", "--tracking-uri", tmp_path / "store")[0] == 0
    for _ in range(2):
        words = ("score", "table", "models:/cards/1", rows, "--out", "flags")
        assert call(*words, "--tracking-uri", tmp_path / "store")[0] == 0
    client = MlflowClient(f"sqlite:///{tmp_path}/store/mlflow.db")
    experiment = client.get_experiment_by_name("vae-anomaly-scores")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["vae_anomaly.model"] == "cards/1"
    assert run.data.metrics["items_scored"] == 300
    summary = read_summary("flags")
    assert run.data.metrics["flag_rate_low"] == summary.flag_rate.low
    assert run.data.metrics["alarms"] == len(summary.alarms)
    kept = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert kept == ["report.html", "summary.json"]
    assert call("score", "table", table_model, rows, "--out", "own")[0] == 0
    assert not (tmp_path / "vae-anomaly-store").exists()


def test_links_to_overlays_lead_to_them_from_wherever_the_page_lies(
    call, images, image_model, tmp_path
):
    assert call("score", "images", image_model, images, "--out", "flags")[0] == 0
    assert call("report", "flags", "--out", "pages/monday/here.html")[0] == 0
    for page in (tmp_path / "flags/report.html", tmp_path / "pages/monday/here.html"):
        links = [item["image"]["heatmap_file"] for item in island_of(page)["items"]]
        assert sum((page.parent / link).is_file() for link in links if link) >= 1
        assert all((page.parent / link).is_file() for link in links if link)
