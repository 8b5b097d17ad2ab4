"""Thresholds, gates and verdicts work on images as they do on tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures
from cli.evaluation_fixtures import write_labelled_surfaces

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


@pytest.fixture
def model(image_model: Path, store: str, monkeypatch: pytest.MonkeyPatch, call) -> str:
    """A registered image detector, as version 1 and champion."""
    register_directory(image_model, name="tiles", alias="champion", evidence="first", uri=store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(store))
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
