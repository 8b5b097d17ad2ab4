"""Scoring from the command line: what is written, told, and refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch import nn
from tracking.real_models import write_days

from vae_anomaly import ImageVAEDetector
from vae_anomaly.batch import read_results, read_summary

BASH = shutil.which("bash")


def test_images_are_scored_flagged_and_told(call, images, image_model, tmp_path):
    code, out, err = call("score", "images", image_model, images, "--out", "flags")
    assert code == 0, err
    assert "24 of 24 images" in out
    assert "005.png" in out
    assert f"vae-anomaly inspect {image_model} images/005.png" in out
    results = read_results("flags")
    assert results.loc[results["score"].idxmax(), "id"] == "005.png"
    assert (tmp_path / "flags" / results["heatmap"].dropna().iloc[0]).is_file()


@pytest.mark.parametrize("kind", ["images", "table"])
def test_input_that_is_taken_away_once_it_is_scored_is_told_like_any_other(
    kind, call, images, rows, image_model, table_model, tmp_path, monkeypatch
):
    given, model = (images, image_model) if kind == "images" else (rows, table_model)

    def take_away(*_):
        Path(given).rename(tmp_path / "archive")

    monkeypatch.setattr("vae_anomaly.batch.run.drop_orphans", take_away)
    code, out, err = call("score", kind, model, given, "--out", "flags")
    assert code == 0, err
    assert "Results are in flags/" in out
    assert f"vae-anomaly inspect {model}" in out


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_the_next_command_names_a_row_of_a_file_whatever_the_file_is_called(
    call, rows, table_model, tmp_path
):
    odd = tmp_path / os.fsdecode(b"n\xe4chte $1") / os.fsdecode(b"1's\xfc.csv")
    odd.parent.mkdir()
    frame = pd.read_parquet(rows) if Path(rows).suffix == ".parquet" else pd.read_csv(rows)
    with odd.open("wb") as file:
        frame.drop(columns="id", errors="ignore").to_csv(file, index=False)
    code, out, err = call("score", "table", table_model, odd, "--out", "flags")
    assert code == 0, err
    command = out.rpartition("See why:")[2].strip().splitlines()[0]
    read = subprocess.run(  # noqa: S602 - the shell is what is asked
        f"printf '%s\\n' {command}", shell=True, executable=BASH, capture_output=True, check=True
    ).stdout
    words = [os.fsdecode(word) for word in read.splitlines()]
    assert words[3].rpartition(":")[0] in {str(odd), str(odd.relative_to(tmp_path))}
    assert call(*words[1:])[0] == 0


def test_json_holds_the_counts_and_the_strangest(call_json, images, image_model):
    said = call_json("score", "images", image_model, images, "--out", "f", "--heatmaps", "none")
    assert (said["rows_in"], said["rows_out"], said["quarantined"]) == (24, 24, 0)
    assert said["top"][0]["id"] == "005.png"
    assert said["top"][0]["heatmap"] is None
    assert len(said["top"]) == min(said["flagged"], 5)


def test_a_second_run_does_nothing_and_says_so(call, images, image_model, tmp_path):
    call("score", "images", image_model, images, "--out", "flags")
    before = {path: path.read_bytes() for path in (tmp_path / "flags").rglob("*.p*")}
    code, out, _ = call("score", "images", image_model, images, "--out", "flags")
    assert (code, "1 of 1 part was done before" in out) == (0, True)
    assert {path: path.read_bytes() for path in (tmp_path / "flags").rglob("*.p*")} == before


def test_damaged_images_go_to_quarantine_and_too_many_are_exit_4(
    call, images, image_model, tmp_path
):
    (images / "900.png").write_text("this is text")
    (images / "901.jpg").write_bytes(_truncated_jpeg(tmp_path))
    code, out, _ = call("score", "images", image_model, images, "--out", "flags",
                        "--max-bad-fraction", 0.1)  # fmt: skip
    assert (code, "Not scored: 2" in out) == (0, True)
    assert "flags/quarantine/" in out
    code, _, err = call("score", "images", image_model, images, "--out", "flags",
                        "--max-bad-fraction", 0.01)  # fmt: skip
    assert (code, "2 of 26 items went to quarantine" in err) == (4, True)
    assert len(read_results("flags")) == 24


def test_rows_are_scored_with_reasons_and_the_next_command(call, rows, table_model):
    frame = pd.read_parquet(rows)
    frame.loc[11, "amount"] = 90_000.0
    frame.to_parquet(rows)
    code, out, err = call("score", "table", table_model, rows, "--out", "flags",
                          "--id-column", "id")  # fmt: skip
    assert code == 0, err
    assert "300 of 300 rows" in out
    assert "t7-11" in out
    assert "amount 90,000" in out
    assert "rows.parquet --id t7-11" in out


def test_rows_without_id_column_are_named_by_file_and_number(call, rows, table_model):
    frame = pd.read_parquet(rows)
    frame.loc[11, "amount"] = 90_000.0
    frame.to_parquet(rows)
    _, out, _ = call("score", "table", table_model, rows, "--out", "flags")
    assert "rows.parquet:12" in out
    code, out, _ = call("inspect", table_model, "rows.parquet:12")
    assert (code, "90,000" in out) == (0, True)


def test_the_strangest_are_of_this_run_not_of_earlier_days(call_json, rows, table_model, tmp_path):
    loud = pd.read_parquet(rows)
    loud["amount"] = 90_000.0
    loud.to_parquet(tmp_path / "day1.parquet")
    call_json("score", "table", table_model, "day1.parquet", "--out", "flags")
    said = call_json("score", "table", table_model, rows, "--out", "flags")
    assert all(flag["id"].startswith("rows.parquet") for flag in said["top"])


def test_far_more_flags_than_normals_give_raise_a_doubt(call, rows, table_model, tmp_path):
    loud = pd.read_parquet(rows)
    loud["amount"] = 90_000.0
    loud.to_parquet(tmp_path / "loud.parquet")
    doubt = "normal has moved"
    assert doubt in call("score", "table", table_model, "loud.parquet", "--out", "a")[1]
    assert doubt not in call("score", "table", table_model, rows, "--out", "b")[1]


def test_a_column_that_moved_is_told_where_the_result_is_and_again_later(call, rows, table_model):
    frame = pd.read_parquet(rows)
    frame.assign(amount=frame["amount"] + 1e6).to_parquet(rows)
    command = ("score", "table", table_model, rows, "--out", "f", "--max-bad-fraction", 1)
    for _ in range(2):  # the second run does nothing, and says so all the same
        code, out, err = call(*command)
        assert (code, "lies outside" in err) == (0, False)
        assert "rows.parquet: column 'amount' lies outside its training range" in out
    said = json.loads(call(*command, "--json")[1])
    (part,) = json.loads(Path("f/manifest.json").read_text())["partitions"]
    assert said["notes"] == part["notes"]


def test_infinite_goes_to_quarantine_and_missing_is_data(call_json, rows, table_model):
    frame = pd.read_parquet(rows)
    frame.loc[1, "amount"], frame.loc[2, "amount"] = np.inf, np.nan
    frame.to_parquet(rows)
    said = call_json("score", "table", table_model, rows, "--out", "flags")
    assert (said["rows_out"], said["codes"]) == (299, {"infinite": 1})
    assert np.isfinite(read_results("flags")["score"]).all()


def test_other_columns_are_refused_and_nothing_is_written(call, rows, table_model, tmp_path):
    pd.read_parquet(rows).rename(columns={"amount": "Amount_EUR"}).to_parquet(rows)
    code, out, err = call("score", "table", table_model, rows, "--out", "flags")
    assert (code, out) == (3, "")
    assert "'amount' is missing" in err
    assert not (tmp_path / "flags").exists()


def test_fail_on_anomaly_is_exit_6_with_everything_written(call, images, image_model):
    code, out, err = call("score", "images", image_model, images, "--out", "flags",
                          "--fail-on-anomaly")  # fmt: skip
    assert code == 6
    assert "Flagged" in out
    assert "--fail-on-anomaly" in err
    assert len(read_results("flags")) == 24


def test_fail_on_drift_is_exit_6_and_names_what_has_moved(call, rows, table_model):
    frame = pd.read_parquet(rows)
    frame.assign(amount=frame.amount * 50).to_parquet(rows)
    code, out, err = call("score", "table", table_model, rows, "--out", "flags", "--fail-on-drift")
    assert code == 6
    assert "Drift: " in out
    assert "of the items are flagged" in err
    assert read_summary("flags").report == "report.html"
    code, _, _ = call("score", "table", table_model, rows, "--out", "two", "--no-report")
    assert code == 0


def test_log_json_writes_one_object_a_line(call, rows, table_model):
    code, _, err = call("score", "table", table_model, rows, "--out", "flags", "--log-json")
    lines = [json.loads(line) for line in err.splitlines()]
    assert code == 0
    assert {"started", "scored", "finished"} <= {line.get("event") for line in lines}
    assert "t7-" not in err


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--log-json"], 5), (["--log-json", "--workers", "none"], 2), (["--log-json", "--json"], 5)],
)
def test_log_json_tells_errors_as_objects_too(call, rows, words, code):
    said, _, err = call("score", "table", "no-such-folder", rows, "--out", "flags", *words)
    line = json.loads(err)
    assert (said, line["exit_code"], line["event"], line["level"]) == (code, code, "error", "error")
    assert line["message"]


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_log_json_tells_what_nobody_has_foreseen(call, rows, table_model, monkeypatch, kind):
    def fails(*_: object, **__: object) -> None:
        raise kind("a fault of ours")

    monkeypatch.setattr("vae_anomaly.batch.score_tables", fails)
    code, _, err = call("score", "table", table_model, rows, "--out", "flags", "--log-json")
    line = json.loads(err)
    assert (code, line["exit_code"]) == (1, 1)
    assert "a fault of ours" in line["traceback"]


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("models:/cards@nobody", 5, "champion"),
        ("models:/nothing@champion", 5, "cards"),
        ("models:/cards/9", 5, "1, 2"),
        ("no-such-folder", 5, "no-such-folder"),
        ("models:cards", 2, "models:/NAME@ALIAS"),
    ],
)
def test_a_model_that_is_not_there_is_refused(call, rows, filled_store, model, code, words):
    said = call("score", "table", model, rows, "--out", "f", "--tracking-uri", filled_store)
    assert (said[0], said[1]) == (code, "")
    assert words in said[2]


def test_one_flipped_bit_refuses_the_model(call, rows, table_model, tmp_path):
    shutil.copytree(table_model, tmp_path / "model")
    weights = next((tmp_path / "model").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    code, out, err = call("score", "table", "model", rows, "--out", "flags")
    assert (code, out) == (5, "")
    assert weights.name in err
    assert not (tmp_path / "flags").exists()


def test_a_model_of_the_wrong_kind_is_refused(call, images, table_model, tmp_path):
    code, _, err = call("score", "images", table_model, images, "--out", "flags")
    assert (code, "is a model of tables" in err) == (5, True)
    assert not (tmp_path / "flags").exists()


def test_registry_away_is_exit_69_unless_the_cached_copy_is_asked_for(call, rows, filled_store):
    away = "http://127.0.0.1:9"
    code, _, err = call("score", "table", "models:/cards@champion", rows, "--out", "f",
                        "--tracking-uri", away)  # fmt: skip
    assert (code, "does not answer" in err) == (69, True)
    code, _, err = call("score", "table", "models:/cards@champion", rows, "--out", "f",
                        "--tracking-uri", away, "--cached")  # fmt: skip
    assert (code, "never fetched" in err) == (69, True)


def test_a_folder_without_images_is_exit_3(call, image_model, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = call("score", "images", image_model, "empty", "--out", "flags")
    assert (code, "empty holds no images" in err) == (3, True)
    assert not (tmp_path / "flags").exists()


def _truncated_jpeg(folder):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.jpg")
    content = (folder / "whole.jpg").read_bytes()
    return content[: len(content) // 2]


def test_a_model_on_a_module_of_its_user_is_refused_with_the_remedy(call, images, tmp_path):
    parameters = {"preset": "fast", "channels": 1, "latent_dim": 2, "random_state": 0}
    detector = ImageVAEDetector(64, features=nn.Conv2d(1, 3, 8, 8), **parameters).fit(images)
    path = detector.save(tmp_path / "own")
    code, out, err = call("score", "images", path, images, "--out", tmp_path / "flags")
    assert (code, out) == (5, "")
    assert all(words in err for words in ("Conv2d", "features=module", "timm:NAME"))


def test_a_dry_run_tells_the_plan_and_makes_nothing(call, call_json, table_model, rows, tmp_path):
    command = ("score", "table", table_model, rows, "--out", "flags", "--dry-run")
    code, out, _ = call(*command)
    assert code == 0
    assert "would score 1 of 1 part into flags/; 0 are done already" in out
    document = call_json(*command)
    assert (document["counts"], document["parts"][0]["key"]) == (
        {"done": 0, "new": 1, "again": 0}, "rows",
    )  # fmt: skip
    assert not (tmp_path / "flags").exists()


def test_a_range_of_days_is_scored_into_their_own_folders(call, call_json, table_model, tmp_path):
    write_days(tmp_path / "days")
    score = ("score", "table", table_model, "days/{date}.parquet", "--out", "flags/{date}",
             "--id-column", "id", "--no-report")  # fmt: skip
    of_range = ("--from", "2026-01-02", "--to", "2026-01-04")
    code, out, _ = call(*score, *of_range, "--dry-run")
    assert (code, "2 of 3 days would be scored, 1 without an input" in out) == (0, True)
    assert call(*score, "--date", "2026-01-02")[0] == 0
    whole = (tmp_path / "days" / "2026-01-03.parquet").read_bytes()
    (tmp_path / "days" / "2026-01-03.parquet").write_bytes(b"PAR1")
    code, out, err = call(*score, *of_range, "--json")
    days = json.loads(out)["days"]
    assert [(day["before"], day["action"]) for day in days] == [
        ("done", "skip"), ("new", "gave an error"), ("no input", "skip"),
    ]  # fmt: skip
    assert (code, json.loads(out)["exit_code"]) == (3, 3)
    assert "give the range again with --redo failed" in err
    (tmp_path / "days" / "2026-01-03.parquet").write_bytes(whole)
    assert call_json(*score, *of_range, "--redo", "completed")["days"][1]["rows_out"] == 60
    assert sorted(path.name for path in (tmp_path / "flags").iterdir()) == [
        "2026-01-02", "2026-01-03",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "options", "told"),
    [
        (("days/{date}.csv", "out"), ("--from", "2026-01-01"), "Give both --from and --to"),
        (("days.csv", "out"), ("--from", "2026-01-01", "--to", "2026-01-02"), "Write {date} in"),
        (("days.csv", "out"), ("--date", "2026-01-01"), "none has"),
        (("{date}.csv", "out"), ("--redo", "failed"), "--redo is for a range"),
        (("{date}.csv", "out"), ("--from", "2026-02-01", "--to", "2026-01-01"), "earlier first"),
        (("{date}.csv", "out"), ("--date", "yesterday"), "does not match the format"),
    ],
    ids=["half", "one input", "no place", "redo", "backwards", "words"],
)
def test_dates_that_mean_nothing_are_refused(call, table_model, paths, options, told):
    code, _, err = call("score", "table", table_model, paths[0], "--out", paths[1], *options)
    assert (code, told in err) == (2, True), err
