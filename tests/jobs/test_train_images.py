"""Which images a training takes, and to which group each belongs however its path is written."""

from __future__ import annotations

import pandas as pd
import pytest
from tracking.real_models import write_surfaces

from vae_anomaly import ImageVAEDetector
from vae_anomaly.data.images.folders import ClassNames, list_images
from vae_anomaly.errors import DataError
from vae_anomaly.jobs import Destination, sweep_images_job, train_images_job
from vae_anomaly.jobs.train_images import groups_of


@pytest.mark.parametrize(
    "write",
    [lambda item, root: item.id, lambda item, root: f"./parts/{item.id}",
     lambda item, root: str(item.path.relative_to(root)), lambda item, root: str(item.path)],
    ids=["id", "dotted", "from the table", "absolute"],
)  # fmt: skip
def test_images_are_found_by_id_and_by_path(tmp_path, write):
    items = list_images(write_surfaces(tmp_path / "parts", 4))
    rows = [{"path": write(item, tmp_path), "group": 7 + i // 2} for i, item in enumerate(items)]
    pd.DataFrame(rows[::-1]).to_csv(tmp_path / "groups.csv", index=False)
    assert groups_of(items, tmp_path / "groups.csv").tolist() == ["7", "7", "8", "8"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_empty_cell_is_no_group(tmp_path, suffix):
    items = list_images(write_surfaces(tmp_path / "parts", 3))
    table = pd.DataFrame({"path": [item.id for item in items], "group": ["a", None, None]})
    file = tmp_path / f"groups.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    with pytest.raises(DataError, match=r"no group for 2 of 3 \w+, the first is '001\.png'"):
        groups_of(items, file)


def train(root, **said):
    """Train one step on a folder, and return what was read and the images learned from."""
    detector = ImageVAEDetector(64, preset="fast", outliers="keep", random_state=0)
    classes = ClassNames(**said)
    report = train_images_job(
        detector, root, Destination(folder=root.parent / "m"), classes=classes
    )
    return report.reading, detector.fingerprint_["images"]


def test_defects_are_never_trained_on_and_it_is_said(tmp_path):
    for folder, n in (("Train/Good", 9), ("Train/Bad", 2), ("Valid/Good", 3), ("Test/Bad", 4)):
        write_surfaces(tmp_path / "set" / folder, n)
    reading, learned = train(tmp_path / "set")
    assert (learned, reading.n_read, reading.n_left_out) == (9, 18, 6)
    assert reading.notes[:4] == (
        "taken as good: 9 images (Train/Good 9)",
        "left out: 4 images, test part (Test/Bad)",
        "left out: 2 images, defects (Train/Bad)",
        "left out: 3 images, validation part (Valid/Good)",
    )
    assert sum(one.n_images for one in reading.left_out) == 9


def test_folders_that_look_like_classes_are_asked_about_by_every_way_to_train(tmp_path):
    for folder in "01":
        write_surfaces(tmp_path / "set" / folder, 9)
    for ask in (
        lambda: train(tmp_path / "set"),
        lambda: ImageVAEDetector().fit(tmp_path / "set"),
        lambda: sweep_images_job(tmp_path / "set"),
    ):
        with pytest.raises(DataError, match="--good 0 --defect 1"):
            ask()
    assert train(tmp_path / "set", good=("1",))[1] == 9


def test_words_that_name_no_class_are_taken_and_told(tmp_path):
    for folder in ("bolts", "nuts"):
        write_surfaces(tmp_path / "set" / folder, 5)
    reading, learned = train(tmp_path / "set")
    assert learned == 10
    assert any("bolts, nuts says a class" in note for note in reading.notes)
    for folder in ("cam1", "cam2"):
        write_surfaces(tmp_path / "cams" / folder, 5)
    assert not any("class" in note for note in train(tmp_path / "cams")[0].notes)


def test_a_folder_that_is_itself_called_bad_is_warned_of(tmp_path):
    assert train(write_surfaces(tmp_path / "bad", 9))[0].warnings == (
        "9 images of a folder called 'bad' are learned as normal",
    )
    deep = train(write_surfaces(tmp_path / "scrap" / "2024-05-01", 9).parent)[0]
    assert deep.warnings == ("9 images of a folder called 'scrap' are learned as normal",)
