"""Whatever files are called, each is scored or named, under names that every disk takes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracking.real_models import surface, write_surfaces

from vae_anomaly.batch import (
    plan_images,
    read_manifest,
    read_quarantine,
    read_results,
    score_images,
)
from vae_anomaly.names import MAX_NAME_BYTES, spelled

signs = st.sampled_from(["a", "A", "ü", "u\u0308", "中", "я", "\udcfc", "\n", "\u2028", "\\", " ",
                         "$", "%", "_", "x" * 90, "中" * 30, ".png"])  # fmt: skip
plain = st.lists(signs, min_size=1, max_size=6).map("".join)
file_names = plain.map(lambda name: f"0{name}.png")
folders = st.lists(plain.map(lambda name: f"0{name}"), max_size=3).map("/".join)


def fits(path: str) -> bool:
    return all(len(os.fsencode(part)) <= MAX_NAME_BYTES for part in path.split("/"))


paths = st.builds(lambda folder, name: f"{folder}/{name}".strip("/"), folders, file_names)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
          max_examples=15)  # fmt: skip
@given(st.lists(paths.filter(fits), min_size=1, max_size=5, unique=True))
def test_every_file_is_in_the_results_or_the_quarantine_once(image_model, names):
    with tempfile.TemporaryDirectory() as folder:
        night, out = Path(folder, "night"), Path(folder, "out")
        written = write_files(night, names)
        score_images(image_model, night, out, heatmaps="all", max_bad_fraction=1.0)
        ids = [*read_results(out)["id"], *(item.id for item in quarantined(out))]
        assert sorted(ids) == sorted(spelled(name) for name in written)
        for path in out.rglob("*"):
            assert len(os.fsencode(path.name)) <= MAX_NAME_BYTES
        again = score_images(image_model, night, out, heatmaps="all", max_bad_fraction=1.0)
        assert again.skipped == again.partitions


def write_files(night: Path, names: list[str]) -> list[str]:
    """Write an image, or what is none, under each name that the disk takes; return the names."""
    written = []
    for number, name in enumerate(names):
        path = night / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"no image")
        except OSError:  # one is a folder of another
            continue
        if number % 3:
            surface(number).save(path, format="PNG")
        written.append(name)
    return written


def quarantined(out: Path) -> list:
    files = [
        name
        for entry in read_manifest(out)["partitions"]
        for name in entry["files"]
        if name.startswith("quarantine/")
    ]
    return [item for name in files for item in read_quarantine(out / name)]


@given(st.lists(folders.filter(fits), min_size=1, max_size=6, unique=True))
@settings(deadline=None, max_examples=50)
def test_keys_are_short_and_no_two_alike(names):
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            place = Path(folder, "night", name)
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError:
                continue
            for number in range(2):
                (place / f"{number}.png").touch()
        keys = [part.key for part in plan_images(Path(folder, "night"), per_partition=2)]
    assert len({key.lower() for key in keys}) == len(keys)
    assert all(len(f".part-{key}.parquet.1234567.partial".encode()) <= 255 for key in keys)


@pytest.mark.parametrize("kind", ["pipe", "dangling", "loop"])
def test_what_cannot_be_read_is_set_aside_and_the_rest_is_scored(image_model, tmp_path, kind):
    night = write_surfaces(tmp_path / "night", 3)
    if kind == "pipe":
        os.mkfifo(night / "9.png")
    else:
        (night / "9.png").symlink_to("9.png" if kind == "loop" else "8.png")
    summary = score_images(image_model, night, tmp_path / "out", max_bad_fraction=0.5)
    assert (summary.rows_out, [item.id for item in quarantined(tmp_path / "out")]) == (3, ["9.png"])


def test_several_folders_and_patterns_are_one_night(image_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("cam1", "cam2", "night"):
        write_surfaces(tmp_path / name, 2)
    score_images(image_model, ["cam1/", "cam2", "night/*1.png", "cam1/000.png"], "out")
    assert sorted(read_results("out")["id"]) == [
        "cam1/000.png", "cam1/001.png", "cam2/000.png", "cam2/001.png", "night/001.png",
    ]  # fmt: skip
    assert sorted(path.name for path in Path("out").glob("part-*")) == [
        "part-cam1-0000.parquet", "part-cam2-0000.parquet", "part-list__night-0000.parquet",
    ]  # fmt: skip
