"""Figures with intervals against labels, of tables and of images."""

from __future__ import annotations

import json

import pytest
from cli.evaluation_fixtures import *  # noqa: F403 - fixtures
from cli.evaluation_fixtures import labelled_transactions, write_labelled_surfaces
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score

from vae_anomaly import load_detector
from vae_anomaly.tracking.store import session


def test_evaluate_table_agrees_with_scikit_learn(call_json, table_model, tmp_path):
    rows = labelled_transactions()
    rows.to_parquet(tmp_path / "rows.parquet")
    said = call_json("evaluate", table_model, "rows.parquet", "--labels", "is_fraud")
    expected = roc_auc_score(rows["is_fraud"], load_detector(table_model).anomaly_score(rows))
    auroc = said["figures"]["auroc"]
    assert auroc["estimate"] == pytest.approx(expected, abs=1e-12)
    assert auroc["low"] <= auroc["estimate"] <= auroc["high"]
    assert (said["n_normals"], said["n_anomalies"]) == (138, 12)


def test_words_and_kinds_are_labels_too(call_json, table_model, tmp_path):
    rows = labelled_transactions()
    rows["kind"] = rows["is_fraud"].map({0: "normal", 1: "card theft"})
    rows.loc[0, "kind"] = None
    rows.to_parquet(tmp_path / "rows.parquet")
    said = call_json("evaluate", table_model, "rows.parquet", "--labels", "kind")
    assert [row["kind"] for row in said["kinds"]] == ["card theft", "normal"]
    assert said["left_out"] == {"without a label": 1}


def test_rows_that_cannot_be_read_are_left_out_and_counted(call_json, table_model, tmp_path):
    rows = labelled_transactions()
    rows.loc[3, "amount"] = float("inf")
    rows.to_parquet(tmp_path / "rows.parquet")
    said = call_json("evaluate", table_model, "rows.parquet", "--labels", "is_fraud")
    assert said["left_out"] == {"unreadable": 1}


def test_evaluate_images_by_kind_and_pixel_and_writes_figures(call, image_model, tmp_path):
    write_labelled_surfaces(tmp_path / "tiles")
    (tmp_path / "tiles" / "test" / "good" / "broken.png").write_bytes(b"no image")
    code, out, err = call("evaluate", image_model, "tiles", "--out", "ev")
    assert code == 0, err
    for word in ("AUROC", "hole", "good", "AUPRO", "1 left out (unreadable)"):
        assert word in out
    said = json.loads((tmp_path / "ev" / "evaluation.json").read_text())
    assert said["figures"]["auroc"]["estimate"] > 0.9
    assert said["figures"]["pixel_auroc"]["low"] > 0.7
    for name in ("score_histogram", "roc", "precision_recall"):
        assert (tmp_path / "ev" / f"{name}.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("column", "told"),
    [("is_frod", "did you mean 'is_fraud'"), ("merchant", "holds no labels")],
    ids=["typo", "no labels"],
)
def test_a_wrong_label_column_is_named(call, table_model, tmp_path, column, told):
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")
    code, _, err = call("evaluate", table_model, "rows.parquet", "--labels", column)
    assert code == 3
    assert told in err


def test_without_labels_the_remedy_is_said(call, table_model, tmp_path):
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")
    code, _, err = call("evaluate", table_model, "rows.parquet")
    assert code == 3
    assert "--labels COLUMN" in err


def test_images_without_labels_are_refused_before_they_are_scored(call, image_model, tmp_path):
    write_labelled_surfaces(tmp_path / "tiles", n_good=4, n_holes=2)
    (tmp_path / "tiles" / "test" / "good").rename(tmp_path / "night")
    code, _, err = call("evaluate", image_model, "night")
    assert code == 3
    assert "--good FOLDER" in err
    assert "score images" not in err


@pytest.mark.parametrize("folder", ["test", "test/good"])
def test_an_empty_test_folder_is_named_with_what_belongs_there(call, image_model, tmp_path, folder):
    write_labelled_surfaces(tmp_path / "tiles", n_good=4, n_holes=0)
    (tmp_path / "tiles" / "test").rename(tmp_path / "tiles" / "train")
    (tmp_path / "tiles" / folder).mkdir(parents=True)
    code, _, err = call("evaluate", image_model, "tiles")
    assert code == 3
    assert "all its 4 images are in the training part" in err
    assert "test/good" in err


@pytest.mark.parametrize("odd", [False, True], ids=["normals", "anomalies"])
def test_items_of_one_class_show_what_they_can_and_what_is_missing_is_said(
    call, table_model, tmp_path, odd
):
    rows = labelled_transactions()
    rows[rows["is_fraud"] == int(odd)].to_parquet(tmp_path / "rows.parquet")
    code, out, err = call(
        "evaluate", table_model, "rows.parquet", "--labels", "is_fraud", "--out", "ev"
    )
    assert code == 0, err
    assert ("recall  " in out, "false-positive rate  " in out) == (odd, not odd)
    assert f"There are no {'normal' if odd else 'anomalous'} items" in out
    assert "Quantiles of the score" in out
    assert [path.name for path in (tmp_path / "ev").glob("*.png")] == ["score_histogram.png"]


def test_the_masks_behind_pixel_figures_are_counted_and_others_named(
    call, call_json, image_model, tmp_path
):
    write_labelled_surfaces(tmp_path / "tiles", n_holes=5)
    drawn = tmp_path / "tiles" / "ground_truth" / "hole"
    (drawn / "000_mask.png").unlink()
    (drawn / "001_mask.png").write_bytes(b"no image")
    with Image.open(drawn / "002_mask.png") as mask:
        whole = mask.convert("RGBA")
        whole.putalpha(mask.convert("L"))
    whole.save(drawn / "002_mask.png")
    out = call("evaluate", image_model, "tiles")[1]
    assert "Heatmaps against the outlines: 3 masks of 5 defective images" in out
    assert "without a mask, not in these figures: 1 defective image\n" in out
    assert "cannot be used: 1 mask\n" in out
    said = call_json("evaluate", image_model, "tiles")["masks"]
    assert list(said.pop("unused")) == ["test/hole/001.png"]
    assert said == {"defective_images": 5, "used": 3, "missing": 1, "inverted": 0}


def test_inverted_masks_give_no_pixel_figures_but_the_remedy(
    call, call_json, image_model, tmp_path
):
    write_labelled_surfaces(tmp_path / "tiles")
    for path in (tmp_path / "tiles" / "ground_truth" / "hole").iterdir():
        with Image.open(path) as mask:
            turned = ImageOps.invert(mask.convert("L"))
        turned.save(path)
    out = call("evaluate", image_model, "tiles")[1]
    assert "taken to be inverted" in out
    assert "AUROC" in out
    assert "pixel_auroc" not in call_json("evaluate", image_model, "tiles")["figures"]


def test_figures_by_machine_count_every_item_once(call, call_json, table_model, tmp_path):
    rows = labelled_transactions()
    rows.to_parquet(tmp_path / "rows.parquet")
    asked = ("evaluate", table_model, "rows.parquet", "--labels", "is_fraud", "--by", "merchant")
    table = call_json(*asked)["by"]["merchant"]
    expected = rows.groupby("merchant")["is_fraud"].agg(["size", "sum"])
    assert {r["value"]: r["n_normals"] + r["n_anomalies"] for r in table} == dict(expected["size"])
    assert {r["value"]: r["n_anomalies"] for r in table} == dict(expected["sum"])
    assert all(r["fpr_low"] <= r["fpr"] <= r["fpr_high"] for r in table)
    assert "By merchant" in call(*asked)[1]


def test_images_have_only_the_columns_of_their_manifest(call, image_model, tmp_path):
    write_labelled_surfaces(tmp_path / "tiles", n_good=4, n_holes=2)
    code, _, err = call("evaluate", image_model, "tiles", "--by", "camera")
    assert (code, "known: group" in err) == (2, True)


def test_log_keeps_figures_and_images_in_mlflow(call_json, table_model, store, tmp_path):
    labelled_transactions().to_parquet(tmp_path / "rows.parquet")
    at = ("--labels", "is_fraud", "--log", "--tracking-uri", store)
    said = call_json("evaluate", table_model, "rows.parquet", *at)
    with session(store) as client:
        run = client.get_run(said["run"])
        files = {file.path for file in client.list_artifacts(said["run"])}
    auroc = said["figures"]["auroc"]
    assert run.data.metrics["auroc"] == pytest.approx(auroc["estimate"])
    assert run.data.metrics["auroc_low"] == pytest.approx(auroc["low"])
    assert run.data.tags["vae_anomaly.evaluated_on"] == "rows.parquet"
    assert {"evaluation.json", "roc.png", "precision_recall.png"} <= files
