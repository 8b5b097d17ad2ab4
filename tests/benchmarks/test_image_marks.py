"""The marks of the image detector, on tiny folders with known answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BACKBONE = """
import torch
from torch import nn
from torch.nn import functional

class Blocks(nn.Module):
    def __init__(self, layers=(8,)):
        super().__init__()
        self.layers = layers

    def forward(self, images):
        return [functional.avg_pool2d(images, n) for n in self.layers]
"""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a benchmark the way that running it does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module


@pytest.fixture
def surfaces(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Steady surfaces with noise, (28, 64, 64)."""
    surface = 120 + 20 * np.sin(np.arange(64) / 5)
    return (surface + rng.normal(0, 3, (28, 64, 64))).astype(np.uint8)


def save(image: NDArray[np.uint8], path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path.as_posix()


def broken(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    bad = image.copy()
    bad[24:36, 20:40] = 0
    return bad


@pytest.fixture
def data(tmp_path: Path, surfaces: NDArray[np.uint8]) -> Path:
    """A folder that holds one set, of 20 good images to train on, 4 good and 4 bad ones."""
    root = tmp_path / "data" / "bottle"
    for i, image in enumerate(surfaces):
        split = "train/good" if i < 20 else "test/good" if i < 24 else "test/hole"
        save(broken(image) if i >= 24 else image, root / split / f"{i}.png")
    return root.parent


def marks(script: Callable[[str], Any], data: Path, *options: str) -> list[dict[str, Any]]:
    out = data / "marks.jsonl"
    wanted = ["--all", str(data), "--presets", "fast", "--image-size", "64", "--out", str(out)]
    script("images").main([*wanted, *options])
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_a_set_and_its_turned_copy_get_their_row_and_the_mean(script, data, capsys) -> None:
    rows = marks(script, data, "--sets", "bottle", "bottle-turned")
    assert [(row["set"], row["n_train"], row["n_test"]) for row in rows] == [
        ("bottle", 20, 8),
        ("bottle-turned", 20, 8),
    ]
    assert rows[0]["image"] == rows[0]["recall, measured"] == 100
    told = capsys.readouterr().out
    assert "recall, measured" in told
    assert "mean of 1" in told


def test_an_ended_run_goes_on_with_what_is_missing(script, data, capsys) -> None:
    first = marks(script, data, "--sets", "bottle")
    again = marks(script, data, "--sets", "bottle", "--seeds", "0", "1")
    assert again[0] == first[0]
    assert [row["seed"] for row in again] == [0, 1]


def test_a_backbone_is_built_from_its_file_and_named_in_the_table(script, data, capsys) -> None:
    (data / "blocks.py").write_text(BACKBONE)
    options = ["--features", str(data / "blocks.py"), "--layers", "8", "16"]
    (row,) = marks(script, data, "--sets", "bottle", "--max-train", "16", *options)
    assert row["method"] == "vae-anomaly on blocks 8 16, fast"
    assert row["n_train"] == row["max_train"] == 16
    assert row["image"] == 100


def test_the_demo_is_told_in_planted_defects(script) -> None:
    rows = pd.DataFrame(
        [{"set": "demo", "method": "m", "seed": 0, "recall": 65.0, "false alarms": 5 / 3}]
    )
    assert "demo: 39 of 60 planted defects found, 1 of 60 good ones" in script(
        "image_marks"
    ).report(rows)


def test_tile_folds_are_one_set_in_the_mean_of_the_sets(script) -> None:
    found = {"magnetic_tiles": [60.0, 80.0], "bottle": [100.0], "demo": [0.0]}
    rows = pd.DataFrame(
        [
            {"set": name, "split": f"{name} {i}", "method": "m", "seed": 0, "image": value}
            for name, values in found.items()
            for i, value in enumerate(values)
        ]
    )
    (line,) = [x for x in script("image_marks").report(rows).splitlines() if "mean of" in x]
    assert line.split()[:4] == ["mean", "of", "2", "85.0"]


def test_recall_at_a_measured_rate_lets_one_of_a_hundred_good_images_pass(script) -> None:
    recall_at = script("image_methods").recall_at
    labels = np.repeat([0, 1], [100, 4])
    scores = np.r_[np.arange(98), 500.0, 1000.0, 98, 499, 501, 2000]
    assert recall_at(labels, scores, 0.01) == 0.5  # one good image, 1000, may be flagged
    assert recall_at(labels[1:], scores[1:], 0.01) == 0.25  # of 99 none may


def test_a_set_that_is_not_there_is_named_with_those_that_can_be_asked_for(script, data) -> None:
    with pytest.raises(SystemExit, match=r"no folder for casting-turned.*kolektorsdd"):
        marks(script, data, "--sets", "bottle", "casting-turned")
