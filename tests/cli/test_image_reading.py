"""What is white, which channels and which limits: chosen, told and changed on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vae_anomaly import ImageVAEDetector
from vae_anomaly.jobs import Destination, train_images_job

QUICK = ("--size", 64, "--out", "m", "--no-register", "--preset", "fast")


def parts(n: int, seed: int) -> np.ndarray:
    """Return grey plates (n, 72, 72), float64 from 0 to 255."""
    rng = np.random.default_rng(seed)
    grain = ndimage.gaussian_filter(rng.normal(size=(n, 72, 72)), (0, 1, 1))
    return 120.0 + 40.0 * grain * rng.uniform(0.95, 1.05, (n, 1, 1))


def folder_of(images: np.ndarray, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A camera of 12 bits, one image with a hot pixel."""
    deep = np.rint(parts(20, 1) * 16).astype(np.uint16)
    deep[7, 5, 5] = 65535
    return folder_of(deep, tmp_path / "scans")


def test_training_and_check_tell_the_white(call, scans):
    code, out, _ = call("train", "images", scans, *QUICK, "--outliers", "keep")
    assert code == 0
    assert "Note: white is 4095 in images of 16 bits, by their brightest pixels" in out
    assert "1 image has brighter pixels, which count as white" in out
    assert "Note: the files are grey (1 channel)." in out
    _, checked, _ = call("data", "check", scans)
    assert "1 image has brighter pixels, too few to go by" in checked
    assert "white is taken to be 4095 (12 bits)" in checked


def test_the_white_can_be_told(call, scans, tmp_path):
    _, out, _ = call("train", "images", scans, *QUICK, "--white", 16383)
    assert "Note: white is 16383 in images of 16 bits, as told" in out
    night = folder_of(np.rint(parts(4, 2)).astype(np.uint8), tmp_path / "night")
    assert call("score", "images", "m", night, "--out", "f")[0] == 0  # told: both depths


def test_images_of_the_other_depth_are_refused_by_every_command_until_told(call, tmp_path):
    good = folder_of(np.rint(parts(20, 1)).astype(np.uint8), tmp_path / "good")
    assert call("train", "images", good, *QUICK)[0] == 0
    night = folder_of(np.rint(parts(4, 2) * 16).astype(np.uint16), tmp_path / "night/good")
    code, _, err = call("score", "images", "m", night, "--out", "f")
    assert code == 4
    assert "4 bit_depth" in err
    code, _, err = call("inspect", "m", night / "00.png")
    assert code == 3
    assert "00.png has 16 bits" in err
    assert "--white 4095" in err
    told = ("--white", 4095)
    assert call("score", "images", "m", night, "--out", "f", *told)[0] == 0
    assert call("inspect", "m", night / "00.png", *told)[0] == 0
    assert call("evaluate", "m", night.parent, *told)[0] == 0


@pytest.mark.parametrize("channels", [None, 1])
def test_nearly_grey_colour_is_kept_and_said(call, tmp_path, channels):
    tinted = np.rint(parts(20, 1)[..., None] + np.array([1, 0, -1])).astype(np.uint8)
    good = folder_of(tinted, tmp_path / "good")
    _, checked, _ = call("data", "check", good)
    assert "Images that show colour, however faint: 20 of 20" in checked
    chosen = () if channels is None else ("--channels", channels)
    _, out, _ = call("train", "images", good, *QUICK, *chosen)
    if channels is None:
        assert "Note: colour is seen (3 channels): 100% of the images looked at show some." in out
    else:
        assert "Note: colour is not seen (1 channel): as told; --channels 3 sees it." in out


def test_limits_are_options_of_every_command_that_reads_images(call, tmp_path):
    good = folder_of(np.rint(parts(20, 1)).astype(np.uint8), tmp_path / "good")
    small, enough = ("--max-pixels", 5183), ("--max-pixels", 5184, "--max-bytes", 10**6)
    code, _, err = call("train", "images", good, *QUICK, *small)
    assert code == 3
    assert "5,184 pixels (72 x 72); the limit is 5,183" in err
    assert "--max-pixels 5184" in err
    assert call("train", "images", good, *QUICK, *enough)[0] == 0
    assert call("score", "images", "m", good, "--out", "f", *small)[0] == 4
    assert call("score", "images", "m", good, "--out", "f", *enough)[0] == 0
    assert call("inspect", "m", good / "00.png", *small)[0] == 3
    assert call("evaluate", "m", good, *small)[0] == 3
    code, out, _ = call("data", "check", good, *small, "--json")
    assert code == 3
    damaged = next(f for f in json.loads(out)["findings"] if f["code"] == "damaged")
    assert "Raise --max-pixels" in damaged["remedy"]


def test_pages_are_told_the_option_that_takes_the_first(call, tmp_path):
    good = folder_of(np.rint(parts(20, 1)).astype(np.uint8), tmp_path / "good")
    pages = [Image.fromarray(page) for page in np.rint(parts(2, 3)).astype(np.uint8)]
    pages[0].save(good / "stack.tif", save_all=True, append_images=pages[1:])
    code, _, err = call("train", "images", good, *QUICK)
    assert code == 3
    assert "stack.tif holds more than 1 frame" in err
    assert "--max-frames" in err
    assert call("train", "images", good, *QUICK, "--max-frames", 2)[0] == 0


@pytest.fixture(scope="module")
def deep_night(tmp_path_factory) -> Path:
    """Scans of 12 bits in a data set with good and bad ones, and a model ``m`` of 8 bits."""
    folder = tmp_path_factory.mktemp("depths")
    good = folder_of(np.rint(parts(20, 1)).astype(np.uint8), folder / "good")
    train_images_job(ImageVAEDetector(64, preset="fast"), good, Destination(folder=folder / "m"))
    night = np.rint(parts(12, 2) * 16).astype(np.uint16)
    folder_of(night[:8], folder / "night/good")
    night[8:, 20:40, 20:40] //= 3
    folder_of(night[8:], folder / "night/bad")
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ("threshold", "tune", "m", "--input", "night", "--f-beta", "1"),
        ("probability", "fit", "m", "night", "--method", "sigmoid"),
        ("feedback", "sample", "m", "--input", "night"),
        ("latent", "embed", "m", "night", "--out", "z.csv"),
        ("latent", "interpolate", "m", "night/good/00.png", "night/bad/00.png", "--out", "w.png"),
        ("latent", "traverse", "m", "night/good/00.png", "--out", "t.png"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_whoever_scores_first_can_be_told_the_white_as_well(call, deep_night, tmp_path, words):
    shutil.copytree(deep_night, tmp_path, dirs_exist_ok=True)
    code, _, err = call(*words)
    assert (code, "--white 4095" in err) == (3, True), err
    assert call(*words, "--white", 4095)[0] == 0
    assert call(*words, "--white", 4095, "--max-pixels", 5183)[0] == 3


def test_a_sweep_reads_as_told_and_hands_it_on(call, tmp_path):
    folder_of(np.rint(parts(20, 1) * 16).astype(np.uint16), tmp_path / "scans")
    words = ("sweep", "images", "scans", "--no-track", "--steps", 60, "--latent-dim", 2,
             "--beta", 0.01, "--sigma", 0.1)  # fmt: skip
    assert call(*words, "--max-pixels", 5183)[0] == 3
    code, out, _ = call(*words, "--max-pixels", 5184, "--white", 16383)
    assert code == 0
    assert "train images scans --max-pixels 5184 --white 16383 --model conv" in out


def test_masks_are_checked_under_the_limits_that_are_given(call, tmp_path):
    good = np.rint(parts(12, 1)).astype(np.uint8)
    folder_of(good, tmp_path / "set/train/good")
    folder_of(good[:1], tmp_path / "set/test/bad")
    masks = tmp_path / "set/ground_truth/bad"
    masks.mkdir(parents=True)
    page = Image.fromarray(np.uint8(np.pad(np.full((9, 9), 255), ((9, 54), (9, 54)))))
    page.save(masks / "00_mask.tif", save_all=True, append_images=[page])
    codes = []
    for more in ((), ("--max-frames", 2)):
        _, out, _ = call("data", "check", "set", "--json", *more)
        codes.append("masks" in {finding["code"] for finding in json.loads(out)["findings"]})
    assert codes == [True, False]


def test_images_that_use_a_small_part_of_their_bits_are_told(call, tmp_path):
    tinted = np.rint(parts(20, 1)[..., None] * np.array([0.09, 0.07, 0.05])).astype(np.uint8)
    good = folder_of(tinted, tmp_path / "good")
    _, checked, _ = call("data", "check", good)
    assert "All images are dark: nothing is brighter than" in checked
    _, out, _ = call("train", "images", good, *QUICK)
    assert "no pixel of the images looked at is brighter than" in out
    bright = folder_of(np.rint(parts(20, 1)).astype(np.uint8), tmp_path / "bright")
    assert "dark" not in call("data", "check", bright)[1]
    assert "is brighter than" not in call("train", "images", bright, *QUICK)[1]
