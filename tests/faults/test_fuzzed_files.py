"""Whatever a file holds, only errors of ours come out; benchmarks/fuzz.py tries many more."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.errors import VaeAnomalyError

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
sys.path.insert(0, BENCHMARKS)
from fuzz_targets import targets  # noqa: E402

sys.path.remove(BENCHMARKS)
TARGETS = {target.name: target for target in targets()}
MODELS = [name for name in TARGETS if name.startswith("model ")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in TARGETS if name not in MODELS])
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
FOUND = [("schema", DEEP), ("threshold", DEEP), ("part-*.parquet", b"no parquet")]
"""What fuzzing has shown, where no test beside the code tells it."""


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[name for name, _ in FOUND])
def test_what_fuzzing_has_found_is_refused(name, data, tmp_path):
    with pytest.raises(VaeAnomalyError):
        TARGETS[name].read(data, tmp_path)
