"""The registry from the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tracking.real_models import copy_store, transactions


@pytest.fixture
def own_store(filled_store, tmp_path):
    """A copy of the store that is this test's own."""
    return copy_store(filled_store, tmp_path / "own")


def test_list_shows_models_versions_and_aliases(call, call_json, filled_store):
    code, out, _ = call("models", "list", "--tracking-uri", filled_store)
    assert code == 0
    assert all(word in out for word in ("cards", "tabular", "@champion = 1", "mlflow.db"))
    said = call_json("models", "list", "--tracking-uri", filled_store)
    assert [(m["name"], m["latest"]) for m in said["models"]] == [("cards", 2)]


def test_list_of_an_empty_store_says_what_to_do(call, store):
    code, out, _ = call("models", "list", "--tracking-uri", store)
    assert (code, "holds no models yet" in out) == (0, True)


def test_show_names_versions_thresholds_and_promotions(call, call_json, filled_store):
    code, out, _ = call("models", "show", "cards", "--tracking-uri", filled_store)
    assert code == 0
    assert all(word in out for word in ("@champion", "fpr", "Promotions", "first", "- -> 1"))
    said = call_json("models", "show", "cards", "--tracking-uri", filled_store)
    assert [version["version"] for version in said["versions"]] == [2, 1]
    assert said["aliases"] == {"champion": 1}


def test_promote_moves_the_alias_and_says_how_to_go_back(call, call_json, own_store):
    at = ("--tracking-uri", own_store)
    code, out, err = call("models", "promote", "cards", 2, "--evidence", "AP 0.4, was 0.3", *at)
    assert code == 0, err
    assert "is now version 2 (was version 1)" in out
    assert "vae-anomaly models promote cards 1" in out
    said = call_json("models", "show", "cards", *at)
    assert said["aliases"] == {"champion": 2}
    assert said["promotions"][0]["evidence"] == "AP 0.4, was 0.3"


def test_verify_accepts_an_intact_model(call, call_json, filled_store, table_model):
    code, out, _ = call("models", "verify", "models:/cards/2", "--tracking-uri", filled_store)
    assert (code, "cards/2 (tabular) is intact" in out) == (0, True)
    assert call_json("models", "verify", table_model)["intact"] is True


def test_verify_refuses_a_changed_file(call, table_model, tmp_path):
    shutil.copytree(table_model, tmp_path / "model")
    header = tmp_path / "model" / "detector.json"
    header.write_text(header.read_text().replace("tabular", "tabulaR", 1))
    code, out, err = call("models", "verify", "model")
    assert (code, out, "detector.json" in err) == (5, "", True)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["show", "nothing"], 5, "it holds cards"),
        (["promote", "cards", "7"], 5, "versions 1, 2"),
        (["promote", "cards", "zero"], 2, "zero"),
        (["verify", "models:/cards@nobody"], 5, "champion"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(
    call, filled_store, arguments, code, words
):
    said = call("models", *arguments, "--tracking-uri", filled_store)
    assert (said[0], words in said[2]) == (code, True), said


@pytest.mark.parametrize("command", [["list"], ["show", "cards"], ["promote", "cards", "1"]])
def test_a_server_that_is_away_is_exit_69(call, command):
    code, _, err = call("models", *command, "--tracking-uri", "http://127.0.0.1:9")
    assert (code, "does not answer" in err) == (69, True)


@pytest.fixture(scope="module")
def exported(image_model, tmp_path_factory):
    """What export says with --json, where it worked, and a home that was empty before."""
    pytest.importorskip("onnxruntime")
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    main = "from vae_anomaly.cli import main; import sys; main(sys.argv[1:])"
    line = [sys.executable, "-c", main, "models", "export", image_model, "new/tiles.onnx", "--json"]
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    own = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "USERPROFILE")}
    done = subprocess.run(line, cwd=work, env=kept | own, check=True, capture_output=True)
    return json.loads(done.stdout), work, home


def test_export_writes_a_file_that_scores_and_says_what_it_takes(exported):
    runtime = pytest.importorskip("onnxruntime")
    said, work, _ = exported
    assert said["largest_difference"] < 1e-4
    session = runtime.InferenceSession(work / said["path"], providers=["CPUExecutionProvider"])
    images = np.full((2, 90, 70, said["image_channels"]), 128, np.uint8)
    assert [len(found) for found in session.run(None, {"images": images})] == [2, 2, 2, 2]


def test_export_makes_nothing_but_what_was_asked_for(exported):
    _, work, home = exported
    assert [path.name for path in work.rglob("*")] == ["new", "tiles.onnx"]
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("new/", "new/ is a folder"),
        (".", ". is a folder"),
        ("model/tiles.onnx", "the folder of a model"),
        ("model/more/tiles.onnx", "the folder of a model"),
    ],
)
def test_export_refuses_a_place_for_no_file_and_leaves_nothing(
    call, image_model, tmp_path, out, words
):
    shutil.copytree(image_model, tmp_path / "model")
    before = sorted(tmp_path.rglob("*"))
    code, _, err = call("models", "export", "model", out)
    assert (code, words in err) == (74, True), err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_of_tables_is_not_exported(call, table_model):
    code, out, err = call("models", "export", table_model, "cards.onnx")
    assert (code, out, "model of tables" in err) == (5, "", True)


@pytest.mark.parametrize(
    "line",
    [
        ("models", "list"),
        ("models", "show", "cards"),
        ("threshold", "history", "cards"),
        ("score", "table", "models:/cards@champion", "rows.csv", "--out", "flags"),
    ],
    ids=" ".join,
)
def test_reading_makes_no_store(call, tmp_path, line):
    code, out, err = call(*line, "--tracking-uri", tmp_path / "typo")
    assert code == (0 if line[1] == "list" else 5)
    assert "holds no models yet" in out or "no MLflow store in" in err
    assert not (tmp_path / "typo").exists()


def test_a_store_that_was_moved_is_put_right_by_a_command(call, filled_store, tmp_path):
    shutil.copytree(filled_store, tmp_path / "copy")
    at = ("--tracking-uri", "copy")
    promote = ("models", "promote", "cards", 2, "--evidence", "x", *at)
    code, _, err = call(*promote)
    assert (code, "models relink --tracking-uri" in err) == (69, True)
    code, out, _ = call("models", "relink", *at)
    assert (code, f"was in {filled_store}: " in out) == (0, True)
    code, out, _ = call("models", "relink", *at)
    assert (code, "nothing to do" in out) == (0, True)
    assert call(*promote)[0] == 0


def test_recalibrate_registers_a_version_and_moves_no_alias(call, call_json, own_store, tmp_path):
    at = ("--tracking-uri", own_store)
    transactions(500, seed=21).to_parquet(tmp_path / "may.parquet")
    code, out, err = call(
        "models", "recalibrate", "models:/cards@champion", "--input", tmp_path / "may.parquet",
        "--who", "Ada", "--reason", "new terminal", *at,
    )  # fmt: skip
    assert code == 0, err
    assert "Registered cards version 3." in out
    assert "vae-anomaly models promote cards 3" in out
    said = call_json("models", "show", "cards", *at)
    assert said["aliases"] == {"champion": 1}
    _, out, _ = call("models", "show", "cards", *at)
    assert "Version 3 was calibrated anew from cards/1 on 500 normals" in out
    assert "by Ada: new terminal" in out
    history = call_json("threshold", "history", "cards", *at)["changes"][0]
    assert (history["how"], history["who"], history["made_on"]) == (
        "recalibrated",
        "Ada",
        "cards/1",
    )
    assert "calibrated anew" in call("models", "card", "models:/cards/3", *at)[1]


def test_promote_if_not_worse_prints_both_and_ends_with_6_where_it_is_not_shown(
    call, call_json, own_store, tmp_path
):
    at = ("--tracking-uri", own_store)
    transactions(60, seed=22).to_parquet(tmp_path / "few.parquet")
    asked = ("--not-worse", "--input", tmp_path / "few.parquet")
    code, out, err = call("models", "promote", "cards", 2, *asked, *at)
    assert code == 6
    assert all(words in out for words in ("cards/1", "cards/2", "false alarms", "not measured"))
    assert "normals would tell, there are 60" in out
    assert "does not become champion" in err
    assert call("models", "promote", "cards", 2, *at)[0] == 6
    assert call_json("models", "promote", "cards", 2, "--anyway", *at)["new_version"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        ("--not-worse",),
        ("--margin", "fpr=0.1"),
        ("--anyway", "--not-worse", "--input", "few.parquet"),
        ("--not-worse", "--require", "auroc>=0.9", "--input", "few.parquet"),
    ],
)
def test_promote_says_which_options_go_together(call, filled_store, wrong):
    code, _, err = call("models", "promote", "cards", 2, *wrong, "--tracking-uri", filled_store)
    assert code == 2
    assert "keep one" in err or "go together" in err
