"""What is saved comes back as it was, or says which field is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
import pytest

from vae_anomaly.errors import DataError
from vae_anomaly.state import from_json, named, under


@dataclass(frozen=True)
class Cell:
    size: int
    share: float = 0.0


@dataclass(frozen=True)
class Grid:
    cells: tuple[Cell, ...]
    names: tuple[str, ...] = ()
    best: Cell | None = None


GRID = Grid((Cell(2, 0.5), Cell(3)), ("a", "b"), Cell(2, 0.5))


def test_a_record_comes_back_through_json_as_it_was():
    assert from_json(Grid, json.loads(json.dumps(asdict(GRID)))) == GRID


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "Not a Grid: Field required at cells"),
        ({"cells": [{"size": "two"}]}, r"Not a Grid: .*integer.* at cells\.0\.size"),
        ({"cells": [], "rows": 3}, "Not a Grid: 'rows' is none of its fields"),
    ],
    ids=["missing", "of another type", "unknown"],
)
def test_a_wrong_field_is_named(values, message):
    with pytest.raises(DataError, match=message):
        from_json(Grid, values)


def test_parts_come_back_from_under_their_names():
    parts = {"net": {"weight": np.ones(2)}, "network": {"weight": np.zeros(1)}, "none": {}}
    arrays = named(parts)
    assert sorted(arrays) == ["net.weight", "network.weight"]
    assert under("net", arrays) == {"weight": arrays["net.weight"]}
    assert under("none", arrays) == {}
