"""The comparison of two checkouts: no bit gets through, and only announced words may change."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the scripts the way that running them does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return lambda name: import_module(f"same_scores_{name}")


@pytest.fixture
def compared(scripts, tmp_path: Path) -> Any:
    """Write one answer on each side and compare them."""

    def of(old: Any, new: Any, name: str = "answer") -> tuple[list[str], list[str]]:
        for side, value in (("old", old), ("new", new)):
            scripts("data").keep(tmp_path / side, name, value)
        return scripts("compare").compare(tmp_path / "old", tmp_path / "new")

    return of


@pytest.mark.parametrize("kind", [lambda x: x, lambda x: pd.DataFrame({"kl": x})])
def test_the_last_bit_of_one_number_is_seen(compared, kind):
    old = np.linspace(0.1, 1.0, 10)
    new = old.copy()
    new[3] = np.nextafter(new[3], 1.0)
    ((said,), words) = compared(kind(old), kind(new))
    assert "max |diff| 5.55e-17" in said
    assert not words
    assert compared(kind(old), kind(old)) == ([], [])


def test_another_type_of_the_same_numbers_is_seen(compared):
    ones = np.ones(3)
    assert compared(ones, ones.astype(np.float32))[0] == ["answer.npy (float64[3] -> float32[3])"]


def test_announced_words_may_change_and_their_numbers_may_not(compared):
    old = ["a picture is 3.5 sd too hot"]
    assert compared(old, ["an image is 3.5 sd too hot"]) == ([], ["answer.json"])
    assert compared(old, ["an image is 3.6 sd too hot"])[0]
    assert compared(old, ["a photo is 3.5 sd too hot"])[0]


def test_what_is_missing_or_has_failed_on_one_side_is_no_match(compared, scripts, tmp_path):
    compare = scripts("compare").compare
    compared("same", "same")
    (tmp_path / "new" / "more.txt").write_text("")
    assert compare(tmp_path / "old", tmp_path / "new")[0] == ["more.txt (new side only)"]
    (tmp_path / "new" / "more.txt").rename(tmp_path / "new" / "FAILED.txt")
    (tmp_path / "new" / "FAILED.txt").write_text("Traceback\nValueError: no")
    assert compare(tmp_path / "old", tmp_path / "new")[0] == ["failed (new: ValueError: no)"]
    assert compare(tmp_path / "old", tmp_path / "none")[0] == ["missing on the new side"]


def test_a_saved_model_may_differ_by_its_version_alone(scripts, tmp_path):
    compare = scripts("compare").compare

    def write(side: str, **fields: Any) -> Path:
        (tmp_path / side / "model").mkdir(parents=True, exist_ok=True)
        text = json.dumps({"package_version": side, "metrics": {"n_pictures": 3.0}} | fields)
        (tmp_path / side / "model" / "detector.json").write_text(text)
        return tmp_path / side

    assert compare(write("old"), write("new")) == ([], [])
    assert compare(write("old"), write("new", metrics={"n_images": 3.0}))[0]
