"""Thresholds, gates and verdicts work on images as they do on tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures
from cli.evaluation_fixtures import write_labelled_surfaces
from tracking.real_models import copy_store, write_surfaces

from vae_anomaly.tracking import register_directory


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A manifest of 16 good and 6 holed images: two of one part, from three machines."""
    write_labelled_surfaces(tmp_path / "tiles", n_good=16, n_holes=6)
    found = sorted((tmp_path / "tiles" / "test").rglob("*.png"))
    rows = pd.DataFrame(
        {
            "path": [str(path.relative_to(tmp_path / "tiles")) for path in found],
            "kind": [path.parent.name for path in found],
            "group": [f"part-{i // 2}" for i in range(len(found))],
            "machine": [f"press-{i % 3}" for i in range(len(found))],
        }
    )
    rows.to_csv(tmp_path / "tiles" / "manifest.csv", index=False)
    return tmp_path / "tiles" / "manifest.csv"


@pytest.fixture(scope="module")
def tiles_store(image_model: Path, migrated_store: Path, tmp_path_factory) -> Path:
    """A store with an image detector as tiles/1, champion; not to be written to."""
    folder = tmp_path_factory.mktemp("tiles") / "store"
    shutil.copytree(migrated_store, folder)
    register_directory(image_model, name="tiles", alias="champion", evidence="first", uri=folder)
    return folder


@pytest.fixture
def model(tiles_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call) -> str:
    """That detector in a store of this test's own."""
    folder = copy_store(tiles_store, tmp_path / "store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(folder))
    return "models:/tiles@champion"


def test_a_threshold_of_images_is_tuned_compared_applied_and_on_the_record(
    call, call_json, model, labelled
):
    said = call_json("threshold", "tune", model, "--input", labelled, "--f-beta", 1)
    assert said["threshold"]["n_anomalies"] == 6
    assert said["nested_estimate"]["recall"]["high"] <= 1
    beside = call_json("threshold", "compare", model, "threshold.json", "--input", labelled)
    assert (beside["n_normals"], beside["n_anomalies"]) == (16, 6)
    precision = beside["figures"]["precision"]["a"]
    assert precision is None or precision["low"] < precision["high"]  # 6 holes are no certainty
    assert call("threshold", "apply", model, "threshold.json", "--who", "Ada")[0] == 0
    changes = call_json("threshold", "history", "tiles")["changes"]
    assert (changes[0]["version"], changes[0]["who"]) == (2, "Ada")


def test_groups_of_a_manifest_are_respected(call_json, model, labelled):
    said = call_json(
        "threshold", "tune", model, "--input", labelled, "--capacity", 3, "--volume", 22
    )
    assert said["threshold"]["parameters"]["groups"] == 11


def test_false_discoveries_of_images_are_counted_against_held_out_images(
    call_json, model, labelled
):
    said = call_json("threshold", "tune", model, "--input", labelled, "--fdr", 0.5)
    assert said["threshold"]["parameters"]["batch"] == 22
    assert 0 < said["threshold"]["parameters"]["smallest_p"] < 1
    assert said["threshold"]["n_normals"] > 0


def test_a_gate_on_images_lets_pass_or_refuses_with_the_figures(call, model, labelled):
    passed = ("auroc>=0.01", "fpr.low<=1", "pixel_auroc>=0")
    args = ("models", "promote", "tiles", 1, "--input", labelled.parent)
    code, out, _ = call(*args, *(word for rule in passed for word in ("--require", rule)))
    assert code == 0
    assert "pixel_auroc>=0" in out
    code, out, err = call(*args, "--require", "recall.low>=0.999")
    assert code == 6
    assert "FAILS" in out
    assert "Nothing was changed" in err


def test_verdicts_on_images_are_stored_and_tuned_on(call, call_json, model, labelled, tmp_path):
    call("score", "images", model, labelled, "--out", "flags", "--heatmaps", "none")
    code, _, err = call("threshold", "tune", model, "--scores", "flags", "--feedback")
    assert (code, "No verdicts are stored" in err) == (3, True)
    call("feedback", "sample", model, "--scores", "flags", "--n", 12)
    sheet = pd.read_csv(tmp_path / "decisions.csv")
    holes = sheet["item"].str.contains("hole")
    sheet["verdict"] = holes.map({True: "confirmed", False: "false alarm"})
    sheet.to_csv(tmp_path / "decisions.csv", index=False)
    stored = call_json("feedback", "import", model, "decisions.csv", "--who", "Ada")
    assert stored["confirmed"] == holes.sum()
    said = call_json(
        "threshold", "tune", model, "--scores", "flags", "--feedback", "--min-precision", 0.1
    )
    assert "From verdicts on" in said["words"]


def test_images_are_evaluated_by_machine_and_logged(call, call_json, model, labelled):
    said = call_json("evaluate", model, labelled, "--by", "machine", "--log")
    assert {row["value"] for row in said["by"]["machine"]} == {"press-0", "press-1", "press-2"}
    assert len(said["run"]) == 32


def test_images_are_scored_evaluated_and_inspected_on_the_device_asked_for(
    call, call_json, model, labelled
):
    said = call_json("score", "images", model, labelled, "--out", "flags", "--device", "auto")
    assert said["rows_out"] == 22
    assert call("evaluate", model, labelled, "--device", "auto")[0] == 0
    code, out, _ = call("inspect", model, pd.read_csv(labelled)["path"][0], "--device", "tpu")
    assert (code, out) == (2, "")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(
    "command", [("score", "images", "MODEL", "IMAGES"), ("evaluate", "MODEL", "IMAGES")]
)
def test_a_gpu_that_is_not_there_ends_with_the_remedy(call, model, labelled, command):
    named = {"MODEL": model, "IMAGES": labelled}
    rest = ["--out", "flags", "--device", "cuda"]
    code, _, err = call(*(named.get(word, word) for word in command), *rest)
    assert (code, "--device" in err or "device='auto'" in err or "'auto'" in err) == (2, True)


def test_classes_that_only_their_owner_knows_are_said_to_every_command(
    call, call_json, model, tmp_path
):
    for folder, n, holes in (("0", 12, ()), ("1", 5, range(5))):
        write_surfaces(tmp_path / "parts" / folder, n, holes=holes)
    parts, said = tmp_path / "parts", ("--good", "0", "--defect", "1")
    tune = ("threshold", "tune", model, "--f-beta", 1, "--input", parts)
    for command in (("evaluate", model, parts), tune):
        code, _, error = call(*command)
        assert (code, "--good 0 --defect 1" in error) == (3, True)
        assert call(*command, *said)[0] == 0
    measured = call_json("evaluate", model, parts, *said)
    assert (measured["n_normals"], measured["n_anomalies"]) == (12, 5)
    code, out, _ = call("data", "check", parts)
    assert (code, "look like classes" in out) == (3, True)
    checked = call_json("data", "check", parts, *said)
    assert checked["summary"]["for_training"] == {"0": 12}
    assert checked["summary"]["left_out"] == {"defects": 5}


def test_a_data_set_is_measured_on_its_test_part_and_says_so(call, model, tmp_path):
    for folder, n in (("train/good", 3), ("test/good", 4), ("test/bad", 2), ("valid/good", 1)):
        write_surfaces(tmp_path / "set" / folder, n)
    out = call("evaluate", model, tmp_path / "set")[1]
    assert "4 normal and 2 anomalous items, 3 left out (training part)" in out
    assert "1 left out (validation part)" in out


def test_scoring_says_what_it_left_out_in_text_and_json(call, call_json, image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 4)
    write_surfaces(night / "#recycle", 3)
    out = call("score", "images", image_model, night, "--out", night / "flags")[1]
    assert "scored 4 of 4 images" in out
    assert "Left out: 3 images, in system folders and recycle bins (#recycle)." in out
    said = call_json("score", "images", image_model, night, "--out", night / "flags")
    assert (said["rows_in"], said["left_out"][0]["n_images"]) == (4, 3)
