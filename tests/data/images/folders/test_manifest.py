"""Manifests as Excel, Windows, macOS and people write them: rows find their files or are named."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from vae_anomaly.data.images.folders import list_images
from vae_anomaly.errors import DataError


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root / "list.csv"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_what_excel_saves_is_read(tmp_path, encoding):
    manifest = folder(tmp_path, "Prüfling 1.png", "b.png")
    text = "Path;Kind \r\nPrüfling 1.png;good\r\nb.png;Loch ä\r\n"
    manifest.write_bytes(text.encode(encoding))
    first, second = list_images(manifest)
    assert (first.id, first.is_anomaly) == ("Prüfling 1.png", False)
    assert (second.kind, second.path.is_file()) == ("Loch ä", True)


@pytest.mark.parametrize(
    "written",
    [
        "sub\\a.png",
        "./sub/a.png",
        " sub/a.png ",
        "SUB/A.PNG",
        "sub//a.png",
        "sub/a.PNG",
    ],
)
def test_a_row_finds_its_file_however_it_is_written(tmp_path, written):
    manifest = folder(tmp_path, "sub/a.png")
    manifest.write_text(f"path\n{written}\n")
    (item,) = list_images(manifest)
    assert (item.id, item.path) == ("sub/a.png", tmp_path / "sub" / "a.png")


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_accents_in_one_piece_or_apart_are_the_same(tmp_path, on_disk):
    on_row = "NFD" if on_disk == "NFC" else "NFC"
    manifest = folder(tmp_path, unicodedata.normalize(on_disk, "Größe/é.png"))
    manifest.write_text(f"path\n{unicodedata.normalize(on_row, 'Größe/é.png')}\n", "utf-8")
    (item,) = list_images(manifest)
    assert item.path.is_file()


def test_a_path_that_is_absolute_but_below_the_manifest_is_taken(tmp_path):
    manifest = folder(tmp_path, "a.png")
    manifest.write_text(f"path\n{tmp_path / 'a.png'}\n")
    assert [item.id for item in list_images(manifest)] == ["a.png"]


def test_where_two_files_fit_none_is_guessed(tmp_path):
    manifest = folder(tmp_path, "a.png", "A.png", "b.png")
    manifest.write_text("path\na.PNG\nb.png\n")
    missing, there = list_images(manifest)
    assert (missing.path.exists(), there.path.exists()) == (False, True)


def test_a_row_without_a_file_is_an_item_but_a_manifest_of_them_is_refused(tmp_path):
    manifest = folder(tmp_path, "a.png", "b.png")
    manifest.write_text("path\na.png\nb.png\nc.png\n")
    assert [item.id for item in list_images(manifest)] == ["a.png", "b.png", "c.png"]
    manifest.write_text("path\na.png\nc.png\nd.png\n")
    with pytest.raises(DataError, match=r"2 of 3 rows name files that are not in .*'c\.png'"):
        list_images(manifest)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.png,\nsub,\n", r"row 2: 'sub' is a folder"),
        ("a.png,m.png\nm.png,\n", r"row 2: 'm\.png' is the mask of row 1"),
        ("a.png,\nb.png,\n./a.png,\n", r"rows 1 and 3 name the same image twice"),
        ("a.png,\nC:\\night\\b.png,\n", r"row 2: .* is absolute .*relative to the manifest"),
        ("a.png,\n..\\b.png,\n", r"row 2: .* leads out"),
        ("a.png,\n\\\\nas\\night\\b.png,\n", r"row 2: .* is absolute"),
    ],
    ids=["folder", "mask", "repeated", "drive", "above", "share"],
)
def test_what_is_no_image_of_its_own_is_refused_by_row(tmp_path, rows, message):
    manifest = folder(tmp_path, "a.png", "b.png", "m.png", "sub/c.png")
    manifest.write_text(f"path,mask\n{rows}")
    with pytest.raises(DataError, match=message):
        list_images(manifest)


def test_a_link_out_of_the_folder_is_followed_where_that_was_asked_for(tmp_path):
    folder(tmp_path, "secret.png")
    manifest = folder(tmp_path / "night", "a.png")
    (tmp_path / "night" / "link.png").symlink_to(tmp_path / "secret.png")
    manifest.write_text("path\na.png\nlink.png\n")
    with pytest.raises(DataError, match=r"row 2: .*--follow-links"):
        list_images(manifest)
    assert len(list_images(manifest, follow_links=True)) == 2
