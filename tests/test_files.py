"""Files and folders stand whole or not at all, and a digest says what they hold."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from vae_anomaly.errors import StorageError
from vae_anomaly.files import replace_file, replace_folder, sha256_of, write_json


def write_half(path: Path) -> None:
    path.write_text("half")
    raise ValueError("half")


def test_a_block_that_breaks_off_leaves_the_earlier_file_and_nothing_else(tmp_path):
    write_json({"a": 1}, tmp_path / "report.json")
    with pytest.raises(ValueError, match="half"), replace_file(tmp_path / "report.json") as other:
        write_half(other)
    assert (tmp_path / "report.json").read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_block_that_breaks_off_leaves_the_earlier_folder_and_nothing_else(tmp_path):
    with replace_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("old")
    with pytest.raises(ValueError, match="half"), replace_folder(tmp_path / "model") as folder:
        write_half(folder / "weights")
    assert (tmp_path / "model" / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_replaces_the_earlier_one_with_all_that_it_held(tmp_path):
    for name in ("old", "new"):
        with replace_folder(tmp_path / "model") as folder:
            (folder / name).touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("replace", [replace_file, replace_folder])
def test_a_place_that_cannot_be_written_to_is_named_with_the_remedy(replace, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StorageError, match=r"file.model cannot be written.*Choose another disk\."),
        replace(tmp_path / "file" / "model", "Choose another disk."),
    ):
        raise AssertionError("nothing can be written here")


def test_an_earlier_file_is_told_of_only_where_there_is_one(tmp_path):
    (tmp_path / "file").touch()
    for target, told in ((tmp_path / "file", True), (tmp_path / "file" / "below", False)):
        with pytest.raises(StorageError) as stop, replace_file(target):
            raise OSError("the disk is full")
        assert ("intact" in str(stop.value)) is told


def test_nan_is_refused_before_a_file_is_touched(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json({"loss": float("nan")}, tmp_path / "report.json")
    assert not list(tmp_path.iterdir())


def test_a_digest_of_several_contents_is_that_of_all_in_order(tmp_path):
    (tmp_path / "part").write_bytes(b"x" * 3_000_000)
    whole = hashlib.sha256("é".encode() + b"x" * 3_000_000 + b"\0").hexdigest()
    assert sha256_of("é", tmp_path / "part", b"\0") == whole


@pytest.mark.parametrize("kind", ["folder", "pipe", "no name"])
def test_what_is_no_place_for_a_file_is_refused_and_left_alone(tmp_path, kind):
    target = Path() if kind == "no name" else tmp_path / kind
    if kind == "folder":
        target.mkdir()
    elif kind == "pipe":
        os.mkfifo(target)
    with pytest.raises(StorageError, match=r"Name (the|a) file"), replace_file(target) as temporary:
        temporary.write_text("new")
    assert kind == "no name" or not target.is_file()


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "я" * 127, "中" * 85])
def test_the_longest_name_that_a_disk_takes_is_written(tmp_path, name):
    with replace_file(tmp_path / name) as temporary:
        temporary.write_text("new")
    with replace_folder(tmp_path / name[:60] / name) as folder:
        (folder / "weights").touch()
    assert (tmp_path / name).read_text() == "new"
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_a_name_that_is_too_long_is_a_storage_error_that_says_so(tmp_path):
    with pytest.raises(StorageError, match=r"cannot be written: File name too long"):
        write_json({}, tmp_path / ("x" * 256))


def test_the_clean_up_after_a_full_disk_does_not_hide_it(tmp_path, monkeypatch):
    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    with pytest.raises(StorageError, match="No space left"), replace_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
