"""What is given is scored whole; what we or the system put there is no image of a part."""

from __future__ import annotations

import logging
import shutil

import pytest
from PIL import Image
from tracking.real_models import write_surfaces

from vae_anomaly.batch import read_manifest, read_results, score_images
from vae_anomaly.data.images.folders import LeftOutImages, list_images
from vae_anomaly.detectors import load_detector
from vae_anomaly.errors import DataError
from vae_anomaly.evaluation import inspect_images
from vae_anomaly.files import sha256_of


def test_folders_called_test_and_train_are_scored_like_any_other(image_model, tmp_path):
    for folder, n in (("cam1", 3), ("cam2", 3), ("test/warmup", 2), ("train/good", 2)):
        write_surfaces(tmp_path / "night" / folder, n)
    summary = score_images(image_model, tmp_path / "night", tmp_path / "out")
    assert (summary.rows_out, summary.left_out) == (10, ())


def test_masks_of_a_data_set_are_counted_and_not_scored(image_model, tmp_path):
    for folder in ("test/good", "test/hole", "ground_truth/hole"):
        write_surfaces(tmp_path / "set" / folder, 2)
    summary = score_images(image_model, tmp_path / "set", tmp_path / "out")
    assert summary.rows_out == 4
    assert summary.left_out == (LeftOutImages("masks", "ground_truth/hole", 2),)
    assert read_manifest(tmp_path / "out")["left_out"] == [
        {"reason": "masks", "where": "ground_truth/hole", "n_images": 2}
    ]


@pytest.mark.parametrize("out", ["flags", "."], ids=["in its own folder", "in the input"])
def test_results_inside_the_input_are_never_scored(image_model, tmp_path, out):
    night = write_surfaces(tmp_path / "night", 4)
    written = []
    for _ in range(3):
        summary = score_images(image_model, night, night / out, heatmaps="all", masks="all")
        assert (summary.rows_in, summary.left_out) == (4, ())
        written.append(sha256_of(night / out / "manifest.json"))
    assert len(set(written)) == 1
    assert sorted(read_results(night / out)["id"]) == [f"{i:03d}.png" for i in range(4)]


def test_results_inside_the_input_are_no_files_to_warn_of(image_model, tmp_path, caplog):
    night = write_surfaces(tmp_path / "night", 4)
    (night / "notes.json").write_text("{}")
    for out in ("one", "two", "one"):
        caplog.clear()
        score_images(image_model, night, night / out)
        said = [record.message for record in caplog.records if "no image" in record.message]
        assert said == ["1 file is no image by name: notes.json"]


def test_results_of_another_run_are_counted_by_folder(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 4)
    score_images(image_model, night, night / "earlier", heatmaps="all", masks="all")
    inspect_images(load_detector(image_model), [night / "000.png"], night / "cards")
    (night / "earlier" / "part.png").write_bytes((night / "000.png").read_bytes())
    summary = score_images(image_model, night, tmp_path / "out")
    assert summary.rows_in == 5  # a part that somebody laid beside results is a part
    assert set(summary.left_out) == {
        LeftOutImages("results of vae-anomaly", "earlier", 8),
        LeftOutImages("results of vae-anomaly", "cards", 1),
    }
    assert len(list_images(night, split="train")) == 5


def test_results_of_earlier_versions_are_known_by_their_ledger_or_manifest(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 4)
    for kept in ("ledger.sqlite", "manifest.json"):
        old = night / f"with {kept}"
        score_images(image_model, night, old, heatmaps="all", masks="none")
        for drawn in old.glob("heatmaps/*/*.png"):
            Image.open(drawn).copy().save(drawn)  # as it was drawn before it was marked
        for lost in {"ledger.sqlite", "manifest.json"} - {kept}:
            (old / lost).unlink()
    assert len(list_images(night)) == 4


def test_what_a_store_keeps_is_not_input_and_a_folder_called_like_it_is(
    image_model, migrated_store, tmp_path
):
    night = write_surfaces(tmp_path / "night", 4)
    shutil.copytree(migrated_store, night / "store")
    write_surfaces(night / "store" / "artifacts" / "1" / "plates", 2)
    write_surfaces(night / "cam" / "artifacts", 3)
    summary = score_images(image_model, night, tmp_path / "out")
    left_out = (LeftOutImages("results of vae-anomaly", "store", 2),)
    assert (summary.rows_in, summary.left_out) == (7, left_out)
    assert len(list_images(night, split="train")) == 7


@pytest.mark.parametrize(
    "name", ["#recycle", "$RECYCLE.BIN", "@eaDir", "@Recently-Snapshot", "__MACOSX", ".Trash-1000"]
)
def test_recycle_bins_are_counted_without_a_warning(image_model, tmp_path, name, caplog):
    night = write_surfaces(tmp_path / "night", 4)
    write_surfaces(night / "cam" / name / "deeper", 3)
    (night / "Thumbs.db").write_bytes(b"x")
    (night / "desktop.ini").write_bytes(b"x")
    summary = score_images(image_model, night, tmp_path / "out")
    (left,) = summary.left_out
    assert (summary.rows_in, left.where, left.n_images) == (4, f"cam/{name}", 3)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_names_alone_make_no_results(image_model, tmp_path):
    night = tmp_path / "night"
    for folder in ("flags/heatmaps", "inspect", "results"):
        write_surfaces(night / folder, 2)
    assert score_images(image_model, night, tmp_path / "out").rows_in == 6


def test_a_folder_of_results_alone_is_named(image_model, tmp_path):
    night = write_surfaces(tmp_path / "night", 4)
    score_images(image_model, night, tmp_path / "flags", heatmaps="all")
    with pytest.raises(DataError, match=r"holds no images.*4 images, results of vae-anomaly"):
        score_images(image_model, tmp_path / "flags", tmp_path / "out")
