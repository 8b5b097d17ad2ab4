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


ENOUGH = 10  # flagged rows of a fault


def test_a_planted_column_comes_first_and_contributions_sum_to_the_score(attribution):
    faults = ["amount x 10 for its category", "empty category"]
    results = list(attribution.table_results(1_000, 0, "fast", asked=120, faults=faults))
    for one in results:
        assert one["flagged"] >= ENOUGH, one
        assert one["contribution"] >= 0.95, one
        assert one["reason"] >= 0.95, one
        assert one["sum off by"] < 1e-9


def test_the_hottest_cell_touches_the_planted_defect(attribution):
    results = list(attribution.image_results(24, 0, "fast", defective=12))
    flagged = [one for one in results if one["flagged"]]
    n = sum(one["flagged"] for one in flagged)
    assert n >= ENOUGH
    assert sum(one["flagged"] * one["cell touches"] for one in flagged) >= 0.95 * n
    assert max(one["by chance"] for one in flagged) < 0.1


def test_a_reason_names_its_column_first_and_whole(attribution):
    names = ["age", "age group", "shop"]
    assert attribution.first_named("age group 4, usual with shop 'B' is 2", names) == "age group"
    assert attribution.first_named("shop 'age', never seen in training", names) == "shop"
    assert attribution.first_named("stage 3", names) == ""


def test_a_cell_touches_a_mask_where_it_holds_a_part_of_a_pixel(attribution):
    mask = np.zeros((10, 10), dtype=bool)
    mask[4, 4] = True
    assert np.argwhere(attribution.cells_that_touch(mask, (5, 5))).tolist() == [[2, 2]]
    assert np.argwhere(attribution.cells_that_touch(mask, (20, 20))).tolist() == [
        [8, 8], [8, 9], [9, 8], [9, 9],
    ]  # fmt: skip
    assert np.argwhere(attribution.cells_that_touch(mask, (3, 3))).tolist() == [[1, 1]]


def test_a_hot_cell_may_touch_a_defect_that_its_centre_misses(attribution):
    mask = np.zeros((20, 20), dtype=bool)
    mask[5, 5:] = True
    grid = np.zeros((4, 4), dtype=np.float32)
    grid[1, 2] = 1.0
    peak = attribution.Peak.of(grid, mask)
    assert peak.cell_touches
    assert not peak.pixel_inside
    assert peak.cells_touching == 3 / 16
