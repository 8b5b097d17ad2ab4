"""A planted cause is named first, in contributions and in words."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def attribution(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the benchmark the way that running it does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("attribution")


def test_a_planted_column_comes_first(attribution):
    results = list(attribution.table_results(1_000, 0, "fast", asked=150))
    flagged = {one["fault"]: one["flagged"] for one in results}
    assert sum(n > 10 for n in flagged.values()) >= 3
    for one in results:
        if one["flagged"] > 10:
            assert one["contribution"] >= 0.95, one
            assert one["reason"] >= 0.95, one
            assert one["sum off by"] < 1e-9


def test_a_reason_names_its_column_first_and_whole(attribution):
    names = ["age", "age group", "shop"]
    assert attribution.first_named("age group 4, usual with shop 'B' is 2", names) == "age group"
    assert attribution.first_named("shop 'age', never seen in training", names) == "shop"
    assert attribution.first_named("stage 3", names) == ""


def test_a_peak_in_the_mask_is_nowhere_apart_from_it(attribution):
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:4, 2:4] = True
    heat = np.zeros((20, 20))
    heat[5, 5] = 1.0
    assert attribution.peak_apart(heat, mask) == 0.0
    heat[5, 13] = 2.0
    assert attribution.peak_apart(heat, mask) == 3.0
