"""What a column is, by the rule that says so; the rules in their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_anomaly.data.tables.kinds import Column, ColumnKind, infer_column
from vae_anomaly.data.tables.schema import Schema

RNG = np.random.default_rng(0)
MANY = 60


def column(values: object, name: str = "x", declared: ColumnKind | None = None) -> Column:
    said = None if declared is None else Column(name=name, kind=declared)
    return infer_column(name, pd.Series(values), said)


@pytest.mark.parametrize(
    ("values", "kind", "note"),
    [
        ([None, None], "ignored", "no value at all"),
        (["NA", "?", ""], "ignored", "no value at all"),
        ([[1], [2]], "ignored", "nested"),
        ([0, 1, None, 1], "boolean", "only 0 and 1"),
        (["Y", "n", "N"], "boolean", "only N and Y"),
        ([1, 1, 1], "numeric", "constant: always 1"),
        (["31.12.2025", "01.01.2026"], "timestamp", "day first"),
        (["12/31/2025", "01/01/2026"], "timestamp", "month first"),
        (np.arange(MANY) + 70_000, "identifier", "never repeat"),
        (RNG.integers(0, 9, MANY), "numeric", "numbers"),
        ([f"{i % 7}.5" for i in range(MANY)], "numeric", "numbers"),
        ([f"{i % 7:03d}" for i in range(MANY)], "categorical", "7 values"),
        ([f"text {i}" for i in range(MANY)], "identifier", "near-unique text: 60 distinct in 60"),
        (pd.Categorical(["1", "2"] * 30), "categorical", "a pandas category"),
    ],
)
def test_the_first_rule_that_fits_decides_and_says_so(values, kind, note):
    found = column(values)
    assert found.kind == kind
    assert note in found.note


def test_the_name_decides_where_the_values_could_be_both():
    values = RNG.integers(0, 10_000, 200)
    for name, kind in (("customerId", "identifier"), ("paid", "numeric"), ("width", "numeric")):
        assert column(values, name).kind == kind, name


def test_text_that_looks_like_numbers_may_come_as_numbers_tomorrow():
    assert column(["1", "2", "A"]).stored is None
    assert column(["a", "b"]).stored == "text"
    assert column([1.5, 2.5]).stored == "number"


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from(["amount", "shop", "at", "sent"]))
def test_the_order_of_rows_does_not_decide(random, name):
    values: dict[str, list[object]] = {
        "amount": [1.5, 2.0, None, 2.0, 7.25] * 8,
        "shop": ["a", "b", None, "b", "007"] * 8,
        "at": ["01.02.2026", "13.02.2026", None, "02.02.2026"] * 8,
        "sent": ["yes", "no", "", "no"] * 8,
    }
    shuffled = list(values[name])
    random.shuffle(shuffled)
    assert column(shuffled, name) == column(values[name], name)


def test_only_four_kinds_are_read_by_a_model():
    schema = Schema(columns=tuple(Column(name=kind, kind=kind) for kind in ColumnKind))
    assert {c.name for c in schema.features} == {"numeric", "categorical", "boolean", "timestamp"}


def test_an_index_that_pandas_wrote_is_no_feature_though_nights_repeat_it():
    frame = pd.DataFrame({"Unnamed: 0": [*range(500)] * 3, "x": np.arange(1500) % 7 + 0.5})
    assert Schema.infer(frame)["Unnamed: 0"].kind is ColumnKind.IDENTIFIER
