"""The marks of the image detector, on tiny folders with known answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


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
