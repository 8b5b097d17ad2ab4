"""Commands work on images whatever these are called, and on several folders at once."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from cli.evaluation_fixtures import write_labelled_surfaces
from tracking.real_models import surface, write_surfaces

from vae_anomaly.batch import read_results

LATIN = "Pr\udcfcfling $1$ \udce4.png"  # as Python has the bytes of Windows-1252
SPELLED = "Pr\\xFCfling $1$ \\xE4.png"
CJK = "中" * 45
QUICK = ("--size", 64, "--preset", "fast", "--max-steps", 10, "--out", "m", "--no-register")


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Images with names that cameras and people give."""
    folder = tmp_path / "night \udcfc"
    deep = folder.joinpath(*[f"Fertigungslinie Nord, Kamera {i}" for i in range(8)])
    deep.mkdir(parents=True)
    (folder / CJK).mkdir()
    for number, path in enumerate(
        [folder / LATIN, folder / f"{'x' * 240}.png", deep / "1.png", folder / CJK / "я.png"] * 2
    ):
        surface(number, hole=True).save(path.with_stem(path.stem + "_" * (number > 3)))
    return folder


def test_scoring_tells_of_images_with_any_name(call, image_model, night, tmp_path):
    code, out, err = call("score", "images", image_model, night, "--out", "flags \udcfc")
    assert (code, "vae-anomaly inspect" in out, "Traceback" in err) == (0, True, False)
    results = read_results(tmp_path / "flags \udcfc")
    assert len(results) == 8
    assert SPELLED in set(results["id"])
    code, out, err = call("score", "images", image_model, night, "--out", "o", "--json",
                          "--log-json", "--workers", 2)  # fmt: skip
    assert json.loads(out)["rows_out"] == 8
    assert all(json.loads(line) for line in err.splitlines() if line.startswith("{"))


def test_an_image_is_inspected_by_its_name_or_by_how_it_is_spelled(call_json, image_model, night):
    for name in (night / LATIN, f"night \\xFC/{SPELLED}", night / CJK):
        (item, *_) = call_json("inspect", image_model, name)["items"]
        assert len(Path(item["image"]).name.encode()) <= 255
        assert Path(item["image"]).is_file()
    assert len(call_json("inspect", image_model, night)["items"]) == 8


def test_data_check_and_latents_name_such_images(call, call_json, image_model, night, tmp_path):
    (night / "h\udcf6lle.png").write_bytes(b"no image")
    call("data", "check", night, "--groups-out", "groups.csv")
    said = call_json("latent", "embed", image_model, night, "--out", "z.csv")
    assert said["items"] == 8
    assert SPELLED in set(pd.read_csv(tmp_path / "z.csv")["id"])


def test_evaluation_names_kinds_of_any_name(call_json, image_model, tmp_path):
    tiles = write_labelled_surfaces(tmp_path / "tiles")
    shutil.rmtree(tiles / "ground_truth")
    (tiles / "test" / "hole").rename(tiles / "test" / "L\udcf6cher")
    said = call_json("evaluate", image_model, tiles, "--out", "evaluation")
    assert {row["kind"] for row in said["kinds"]} == {"good", "L\\xF6cher"}


def test_training_takes_such_names_and_groups_of_any_system(call, call_json, tmp_path):
    parts = tmp_path / "parts"
    (parts / "Größe").mkdir(parents=True)
    names = [f"Größe/é{number}.png" for number in range(20)]
    for number, name in enumerate(names):
        surface(number).save(parts / name)
    surface(99).save(parts / LATIN)
    rows = [f"{unicodedata.normalize('NFD', name)};{i // 2}" for i, name in enumerate(names)]
    text = "\n".join(["Path;Group", *(row.replace("/", "\\") for row in rows), f"{SPELLED};99"])
    (parts / "groups.csv").write_text(text, "utf-8-sig")
    said = call_json("train", "images", parts, "--groups", parts / "groups.csv", *QUICK)
    assert said["reading"]["n_read"] == 21


def test_several_folders_and_patterns_are_checked_scored_and_trained_on(call, call_json, tmp_path):
    for name in ("cam1", "cam2", "more"):
        write_surfaces(tmp_path / name, 10, first=ord(name[-1]))
    inputs = ("cam1/", "cam2", "more/*.png", "cam1/000.png")
    assert call_json("data", "check", *inputs)["summary"]["images"] == 30
    said = call_json("train", "images", *inputs, *QUICK)
    assert said["reading"]["n_read"] == 30
    assert call_json("score", "images", "m", *inputs, "--out", "flags")["rows_out"] == 30
    code, _, err = call("score", "images", "m", "cam1", "dusk/*.png", "--out", "flags")
    assert (code, "Nothing matches dusk/*.png" in err) == (3, True)


@pytest.mark.parametrize("command", ["score", "train", "evaluate", "inspect", "check"])
def test_links_out_of_a_folder_are_followed_where_asked_for(call, image_model, tmp_path, command):
    write_surfaces(tmp_path / "archive", 12)
    (tmp_path / "night").mkdir()
    (tmp_path / "night" / "good").symlink_to(tmp_path / "archive")
    words = {
        "score": ("score", "images", image_model, "night", "--out", "flags"),
        "train": ("train", "images", "night", *QUICK),
        "evaluate": ("evaluate", image_model, "night"),
        "inspect": ("inspect", image_model, "night"),
        "check": ("data", "check", "night"),
    }[command]  # fmt: skip
    code, _, err = call(*words)
    assert (code, "--follow-links" in err) == (3, True)
    assert call(*words, "--follow-links")[0] == 0
