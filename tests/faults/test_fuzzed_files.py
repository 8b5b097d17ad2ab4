"""Whatever a file holds, only errors of ours come out; benchmarks/fuzz.py tries many more."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from vae_anomaly.errors import ModelRefusedError, VaeAnomalyError

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
from fuzz_records import targets  # noqa: E402

sys.path.remove(BENCHMARKS)
TARGETS = {target.name: target for target in targets()}
STORES = [name for name in TARGETS if name.startswith("store ")]  # of a second a case
MODELS = [name for name in TARGETS if name.startswith("model ")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [n for n in TARGETS if n not in (*MODELS, *STORES)])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_a_changed_file_is_read_or_refused(name, seed, tmp_path_factory):
    read(name, seed, tmp_path_factory.getbasetemp())


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=50)
@given(name=st.sampled_from(MODELS), seed=st.integers(0, 2**32))
def test_a_changed_model_is_read_or_refused(name, seed, tmp_path_factory):
    read(name, seed, tmp_path_factory.getbasetemp())


def read(name: str, seed: int, base: Path) -> None:
    folder = base / f"fuzz {name}".replace("/", " ").replace("*", "")
    folder.mkdir(exist_ok=True)
    dice = random.Random(seed)  # noqa: S311 - no secret
    target = TARGETS[name]
    try:
        target.read(target.change(dice.choice(target.seeds()), dice), folder)
    except VaeAnomalyError as err:
        assert str(err)  # noqa: PT017 - it may also be read


DEEP = b"[" * 100_000
HUGE = b"name = 'a'\ntables = ['a.csv']\n[detector]\nlatent_dim = 1" + b"0" * 400
FOUND = [
    ("schema", DEEP), ("threshold", DEEP), ("part-*.parquet", b"no parquet"),
    ("job train_table", HUGE),
]  # fmt: skip
"""What fuzzing has shown, where no test beside the code tells it."""


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[name for name, _ in FOUND])
def test_what_fuzzing_has_found_is_refused(name, data, tmp_path):
    with pytest.raises(VaeAnomalyError):
        TARGETS[name].read(data, tmp_path)


def model_changed(name: str, file: str, change: Callable[[Any], Any]) -> bytes:
    """Return a file of a golden model after a change of its values."""
    [content] = [one for one in TARGETS[name].seeds() if one.startswith(file.encode())]
    head, _, data = content.partition(b"\n")
    if file.endswith(".json"):
        return head + b"\n" + json.dumps(change(json.loads(data))).encode()
    return head + b"\n" + save(change(dict(load(data))))


def with_other(arrays: dict[str, Any], ending: str, value: Any) -> dict[str, Any]:
    return {name: value if name.endswith(ending) else array for name, array in arrays.items()}


def hours_less(header: Any) -> Any:
    for column in header["preprocessing"]["encoder"]["columns"]:
        column.get("hours", []).clear()
    return header


def quantiles_less(header: Any) -> Any:
    for column in header["preprocessing"]["encoder"]["columns"]:
        del column.get("quantiles", [0])[-1]
    return header


def never_missing(header: Any) -> Any:
    for column in header["preprocessing"]["encoder"]["columns"]:
        if "gap_share" in column:
            column["gap_share"] = 1.0
    return header


def conditions_less(header: Any) -> Any:
    del header["preprocessing"]["conditions"][-1]
    return header


def condition_of_numbers(header: Any) -> Any:
    header["config"]["condition"] = [1, 2]
    return header


def asked_less(header: Any) -> Any:
    del header["preprocessing"]["views"][0]["vae"]["asked"][-1]
    return header


@pytest.mark.parametrize(
    ("name", "file", "change"),
    [
        ("model table_mixed", "calibration.safetensors",
         lambda arrays: with_other(arrays, ".n_groups", np.array([-(2**60)]))),
        ("model table_autoencoder", "calibration.safetensors",
         lambda arrays: with_other(arrays, ".nearest", np.array([0]))),
        ("model table_conditional", "calibration.safetensors",
         lambda arrays: with_other(arrays, ".condition.places", np.array([2**31 - 1] * 4))),
        ("model table_entities", "calibration.safetensors",
         lambda arrays: with_other(arrays, ".entity", arrays["entities.0.entity"] + 1000)),
        ("model table_entities", "detector.json", hours_less),
        ("model table_vamp", "detector.json", quantiles_less),
        ("model pixels_conditional", "detector.json", conditions_less),
        ("model pixels_conditional", "detector.json", condition_of_numbers),
        ("model table_vamp", "detector.json", asked_less),
    ],
    ids=["groups", "nearest", "places", "entity", "hours", "quantiles", "conditions", "condition",
         "asked"],
)  # fmt: skip
def test_a_model_whose_parts_do_not_fit_is_refused_as_it_is_loaded(name, file, change, tmp_path):
    with pytest.raises(ModelRefusedError):
        TARGETS[name].read(model_changed(name, file, change), tmp_path)


def test_a_column_that_no_training_row_had_has_a_reason(tmp_path):
    TARGETS["model table_vamp"].read(
        model_changed("model table_vamp", "detector.json", never_missing), tmp_path
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"losses": {"steps": [1, 2], "series": [["train_nll", [1.0]]], "best_step": 2}},
        {"losses": {"steps": [], "series": [["train_nll", []]], "best_step": 2}},
        {"map_axes": [0, 900]},
        {"map_axes": [0]},
        {"spans": [{"column": "at", "first": "2026-01-01", "last": "soon"}]},
        {"spans": [{"column": "at", "first": "2026-01-01T00:00Z", "last": "2026-01-02"}]},
        {"n_normals": 10**400},
    ],
    ids=["lengths", "empty", "axis", "axes", "time", "zone", "count"],
)
def test_a_damaged_card_of_a_training_leaves_its_model_a_page(damage, tmp_path):
    target = TARGETS["training card"]
    document = json.loads(target.seeds()[0]) | damage
    target.read(json.dumps(document).encode(), tmp_path)
