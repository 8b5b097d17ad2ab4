from __future__ import annotations

import logging
import os
from pathlib import Path

import pandas as pd
import pytest

from vae_anomaly.data.images.folders import condition_of, list_images, scan_images
from vae_anomaly.errors import DataError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    touch(
        tmp_path,
        "train/good/000.png",
        "train/good/001.png",
        "test/good/000.png",
        "test/crack/000.png",
        "test/crack/001.JPG",
        "test/hole/deep/000.png",
        "ground_truth/crack/000_mask.png",
        "ground_truth/crack/001.png",
        "ground_truth/hole/deep/000_mask.png",
        "readme.txt",
    )
    return tmp_path


def test_a_flat_folder_is_listed_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.JPG", "sub/c.TIFF", "sub/deep/d.webp", "e.bmp", "f.jpeg")
    items = list_images(tmp_path)
    ids = ["a.JPG", "b.png", "e.bmp", "f.jpeg", "sub/c.TIFF", "sub/deep/d.webp"]
    assert [item.id for item in items] == ids
    assert [item.path for item in items] == [tmp_path / identifier for identifier in ids]
    assert {(i.kind, i.is_anomaly, i.mask, i.split) for i in items} == {(None, None, None, None)}


def test_hidden_and_system_files_do_not_exist(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".b.png", ".cache/c.png", "__MACOSX/d.png")
    listing = scan_images(tmp_path)
    assert [item.id for item in listing.items] == ["a.png"]
    assert listing.skipped == ()


def test_other_files_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "a.png", "notes.txt", "movie.gif")
    assert [path.name for path in scan_images(tmp_path).skipped] == ["movie.gif", "notes.txt"]
    with caplog.at_level(logging.WARNING):
        list_images(tmp_path)
    assert "2 files are no images by name: movie.gif, notes.txt" in caplog.text


def test_the_mvtec_layout_gives_kinds_splits_and_masks(mvtec: Path) -> None:
    listing = scan_images(mvtec)
    assert listing.layout == "mvtec"
    found = {i.id: (i.split, i.kind, i.is_anomaly, i.mask) for i in listing.items}
    masks = mvtec / "ground_truth"
    assert found == {
        "test/crack/000.png": ("test", "crack", True, masks / "crack/000_mask.png"),
        "test/crack/001.JPG": ("test", "crack", True, masks / "crack/001.png"),
        "test/good/000.png": ("test", "good", False, None),
        "test/hole/deep/000.png": ("test", "hole", True, masks / "hole/deep/000_mask.png"),
        "train/good/000.png": ("train", "good", False, None),
        "train/good/001.png": ("train", "good", False, None),
    }


def test_a_split_can_be_asked_for(mvtec: Path) -> None:
    assert [i.id for i in list_images(mvtec, split="train")] == [
        "train/good/000.png",
        "train/good/001.png",
    ]
    assert len(list_images(mvtec, split="test")) == 4
    assert len(list_images(mvtec / "train" / "good", split="test")) == 2


def test_the_test_folder_alone_finds_its_masks(mvtec: Path) -> None:
    items = {item.id: item for item in list_images(mvtec / "test")}
    assert items["crack/000.png"].mask == mvtec / "ground_truth" / "crack" / "000_mask.png"
    assert items["good/000.png"].is_anomaly is False


@pytest.mark.parametrize("good", ["good", "OK", "Normal"])
def test_a_folder_of_classes_is_recognised_by_its_good_one(tmp_path: Path, good: str) -> None:
    touch(tmp_path, f"{good}/1.png", "bent/1.png")
    assert {item.kind: item.is_anomaly for item in list_images(tmp_path)} == {
        good: False,
        "bent": True,
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_manifest_says_what_is_known(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, "x/1.png", "x/2.png", "m.png")
    frame = pd.DataFrame(
        {
            "path": ["x/1.png", "x/2.png"],
            "kind": ["good", "hole"],
            "is_anomaly": [None, "1"],
            "mask": [None, "m.png"],
            "group": [7, 8],
            "camera": ["left", "right"],
        }
    )
    manifest = tmp_path / f"list.{suffix}"
    frame.to_csv(manifest, index=False) if suffix == "csv" else frame.to_parquet(manifest)
    first, second = list_images(manifest)
    assert (first.id, first.kind, first.is_anomaly, first.group) == ("x/1.png", "good", False, "7")
    assert (second.mask, second.is_anomaly) == (tmp_path / "m.png", True)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "a/../../secret.png",
        "/etc/secret.png",
        "C:\\secret.png",
        "link.png",
        "a\0b",
    ],
    ids=["parent", "hidden parent", "absolute", "windows", "link", "nul"],
)
def test_a_manifest_cannot_name_what_is_outside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    touch(tmp_path, "secret.png", "root/a/1.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    pd.DataFrame({"path": ["a/1.png", path]}).to_parquet(root / "m.parquet")
    with pytest.raises(DataError, match="row 2"):
        list_images(root / "m.parquet")


@pytest.mark.parametrize("target", ["secret.png", "other"])
def test_a_folder_cannot_link_to_what_is_outside(tmp_path: Path, target: str) -> None:
    touch(tmp_path, "secret.png", "other/1.png", "root/1.png")
    (tmp_path / "root" / "link.png").symlink_to(tmp_path / target)
    with pytest.raises(DataError, match=r"outside.*--follow-links"):
        list_images(tmp_path / "root")


def test_a_folder_that_may_not_be_listed_is_named_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match="closed cannot be listed: Permission denied"):
        list_images(tmp_path)


def test_links_within_the_folder_are_images(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a" / "1.png")
    assert [item.id for item in list_images(tmp_path)] == ["a/1.png", "b.png"]


def test_a_list_of_paths_keeps_its_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.png", "a/1.png")
    items = list_images([tmp_path / "b/1.png", tmp_path / "a/1.png"])
    assert [item.id for item in items] == ["b/1.png", "a/1.png"]
    (single,) = list_images(tmp_path / "a" / "1.png")
    assert single.id == "1.png"


def test_what_cannot_be_listed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        list_images(tmp_path)
    touch(tmp_path, "notes.txt", "a.png", "m/other.csv")
    with pytest.raises(DataError, match="does not exist"):
        list_images(tmp_path / "absent")
    with pytest.raises(DataError, match=r"1 of 2 inputs does not exist.*absent\.png"):
        list_images([tmp_path / "a.png", tmp_path / "absent.png"])
    assert len(list_images([tmp_path / "a.png", tmp_path / "a.png"])) == 1
    with pytest.raises(DataError, match="NUL"):
        list_images("a\0b")
    with pytest.raises(DataError, match="list is empty"):
        list_images([])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("picture,kind\na.png,good\n", "no column 'path'"),
        ("path,kind\n", "lists no images"),
        ("path,kind\na.png,good\n,good\n", "row 2: the path is empty"),
        ("path\na.png\na.png\n", "twice"),
        ("path,is_anomaly\na.png,maybe\n", "row 1: is_anomaly is 'maybe'"),
        ("", "empty"),
    ],
    ids=["column", "rows", "cell", "twice", "label", "empty"],
)
def test_a_wrong_manifest_is_explained(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        list_images(tmp_path / "m.csv")


def test_further_columns_of_a_manifest_are_kept_as_text(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "list.csv").write_text("path,sku\na.png,7.0\n")
    (item,) = list_images(tmp_path / "list.csv")
    assert (condition_of(item, "sku"), condition_of(item, "colour")) == ("7", None)
    assert condition_of(item, "folder") == tmp_path.name


def test_tables_of_our_own_scores_are_not_warned_of_night_after_night(tmp_path, caplog):
    (tmp_path / "1.png").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.json").write_text('{"partitions": [], "totals": {}}')
    (tmp_path / "out/part-parts-0000.parquet").write_bytes(b"x")
    (tmp_path / "out/notes.txt").write_bytes(b"x")
    (tmp_path / "out/part-7.png").write_bytes(b"x")
    assert [path.name for path in scan_images(tmp_path).skipped] == ["notes.txt"]
    assert [item.id for item in list_images(tmp_path)] == ["1.png", "out/part-7.png"]


def test_labels_beside_images_that_were_not_read_are_named(tmp_path, caplog):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.png").write_bytes(b"x")
    (tmp_path / "annotations.json").write_text("{}")
    list_images(tmp_path, split="train")
    assert "nothing was read of annotations.json" in caplog.text
    caplog.clear()
    (tmp_path / "images").rename(tmp_path / "good")
    list_images(tmp_path, split="train")
    assert "nothing was read" not in caplog.text
