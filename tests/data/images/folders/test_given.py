"""Several folders, images and patterns are one source, whose ids never collide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.data.images.folders import ClassNames, list_images, scan_images
from vae_anomaly.errors import DataError


@pytest.fixture(autouse=True)
def _cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cam1/1.png", "cam2/1.png", "night/1.png", "night/2.png", "night/notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"x")


def ids(*sources: str | Path) -> list[str]:
    return [item.id for item in list_images(sources[0] if len(sources) == 1 else sources)]


def test_of_several_folders_ids_begin_with_the_folder():
    assert ids("cam1/", "cam2", "night/*.png") == [
        "cam1/1.png", "cam2/1.png", "night/1.png", "night/2.png",
    ]  # fmt: skip


def test_folders_that_are_called_alike_are_told_apart_by_the_folders_above(tmp_path):
    for line in ("a", "b"):
        (tmp_path / line).mkdir()
        (tmp_path / "cam1").rename(tmp_path / line / "cam1")
        (tmp_path / "cam2").rename(tmp_path / "cam1") if line == "a" else None
    assert ids("a/cam1", tmp_path / "b" / "cam1") == ["a/cam1/1.png", "b/cam1/1.png"]


def test_a_quoted_pattern_is_what_the_shell_makes_of_it():
    assert ids("night/*.png") == ids("night/1.png", "night/2.png") == ["1.png", "2.png"]
    assert ids("cam*") == ids("cam1", "cam2")


@pytest.mark.parametrize(
    "sources",
    [
        ("night", "night"),
        ("night/", "night/1.png"),
        ("night/1.png", "night"),
        (".", "cam1"),
        ("**",),
        ("cam1/../night", "night"),
        ("night/1.png", "night/1.png"),
    ],
)
def test_what_is_given_twice_is_listed_once(sources):
    listed = list_images(list(sources))
    assert len({item.path.resolve() for item in listed}) == len(listed)
    assert len({item.id for item in listed}) == len(listed)


@pytest.mark.parametrize("pattern", ["night/*", "*"])
def test_what_a_pattern_matches_besides_is_said(pattern):
    Path("notes.txt").write_bytes(b"x")
    assert {path.name for path in scan_images(pattern).skipped} == {"notes.txt"}
    assert Path("notes.txt") in scan_images("*").skipped


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dusk/*.png", r"Nothing matches dusk/\*\.png\. Check the pattern"),
        ("night/*.txt", r"No image matches .*only other files such as 'notes\.txt'"),
        ("file:///data/night", r"/data/night does not exist"),
        ("https://host/night", r"no address that is read\. .*download all else first"),
        ("", "A path is empty"),
        ("dusk", "dusk does not exist"),
    ],
)
def test_what_names_nothing_is_refused_with_the_remedy(source, message):
    with pytest.raises(DataError, match=message):
        list_images(source)


def test_a_workbook_is_refused_with_the_remedy():
    Path("list.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"list\.xlsx is a workbook\. Save .* CSV UTF-8"):
        list_images("list.xlsx")


def test_home_and_names_as_we_spell_them_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ids("~/night") == ["1.png", "2.png"]
    Path("Pr\udcfcfling.png").write_bytes(b"x")
    assert ids("Pr\\xFCfling.png") == ["Pr\\xFCfling.png"]


def test_manifests_beside_folders_keep_what_they_know():
    Path("night/list.csv").write_text("path,kind\n1.png,good\n2.png,hole\n")
    listed = list_images(["night/list.csv", "cam1"])
    assert [(item.id, item.kind) for item in listed] == [
        ("list/1.png", "good"), ("list/2.png", "hole"), ("cam1/1.png", None),
    ]  # fmt: skip


def test_images_of_several_folders_are_what_their_folders_say():
    for name in ("parts/good/1.png", "parts/scratch/1.png", "parts/unklar/1.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")
    named = sorted(map(str, Path("parts").rglob("*.png")))
    for source in ("parts/*/*.png", "parts/**/*.png", named):
        assert [item.id for item in list_images(source, split="train")] == ["good/1.png"]
        kinds = {item.id: item.is_anomaly for item in list_images(source, split="test")}
        assert kinds == {"good/1.png": False, "scratch/1.png": True, "unklar/1.png": None}
    said = ClassNames(good=("unklar",))
    taken = list_images("parts/*/*.png", split="train", classes=said)
    assert [item.id for item in taken] == ["good/1.png", "unklar/1.png"]
    mixed = list_images(["parts/good", "parts/scratch/1.png"], split="train")
    assert [item.id for item in mixed] == ["good/1.png"]


def test_masks_that_a_pattern_matches_are_counted_or_refused():
    for name in ("set/test/1.png", "set/test/2.png", "set/ground_truth/1_mask.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros((16, 16), np.uint8)
        mask[4:8, 4:8] = 255 if "mask" in name else 0
        Image.fromarray(mask).save(name)
    listing = scan_images("set/**/*.png")
    assert [(one.reason, one.where, one.n_images) for one in listing.left_out] == [
        ("masks", "ground_truth", 1)
    ]
    assert [bool(item.mask) for item in listing.items] == [True, False]
    with pytest.raises(DataError, match="Only masks were named"):
        scan_images("set/ground_truth/*.png")
