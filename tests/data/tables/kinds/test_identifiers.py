"""Numbers that are given out are identifiers; amounts that never repeat are features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.tables.kinds import infer_column

RNG = np.random.default_rng(0)
N = 3000


def distinct(values: np.ndarray) -> np.ndarray:
    """Make whole numbers different from each other, in their order."""
    whole, seen = [], set()
    for value in np.round(values).astype(np.int64):
        while int(value) in seen:
            value += 1
        seen.add(int(value))
        whole.append(int(value))
    return np.array(whole)


AMOUNTS = {
    "cents": distinct(np.exp(RNG.normal(9, 1.2, N))),
    "salaries": distinct(RNG.normal(52_000, 9_000, N).clip(18_000)),
    "odometers": distinct(RNG.gamma(2.0, 45_000, N)),
    "round prices": distinct(RNG.choice(np.arange(10_000, 99_999), N)) * 10,
    "gains and losses": distinct(RNG.normal(0, 50_000, N)),
    "cents, sorted": np.sort(distinct(np.exp(RNG.normal(9, 1.2, N)))),
    "evenly spread": RNG.choice(200_000, N, replace=False),
}
NAMES = {
    "rows": np.arange(N),
    "rows, shuffled": RNG.permutation(N),
    "ids that rise with gaps": np.cumsum(RNG.integers(1, 90, N)),
    "ids in blocks": np.concatenate([np.arange(N // 2), np.arange(N // 2) + 10_000_000]),
    "random ids": RNG.choice(np.arange(10_000_000, 99_999_999), N, replace=False),
    "account numbers": distinct(RNG.choice([401, 555, 610], N) * 10**9 + RNG.integers(0, 10**6, N)),
}


@pytest.mark.parametrize("what", AMOUNTS)
@pytest.mark.parametrize("stored", [np.int64, str])
def test_amounts_that_never_repeat_are_features_and_it_is_said(what, stored):
    column = infer_column("value", pd.Series(AMOUNTS[what].astype(stored)))
    assert column.kind == "numeric"
    assert "never repeat, taken for amounts" in column.note


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("stored", [np.int64, str])
def test_numbers_that_are_given_out_are_identifiers(what, stored):
    column = infer_column("value", pd.Series(NAMES[what].astype(stored)))
    assert (column.kind, column.note) == ("identifier", "whole numbers that never repeat")


@pytest.mark.parametrize("name", ["policy_number", "KundenNr", "hash", "orderId"])
def test_a_name_that_says_number_makes_amounts_identifiers(name):
    assert infer_column(name, pd.Series(AMOUNTS["cents"])).kind == "identifier"


@pytest.mark.parametrize("name", ["Belegnr", "Beleg-Nr.", "order_id", "orderNo", "document_number"])
def test_numbers_of_documents_are_no_seconds_since_1970(name):
    column = infer_column(name, pd.Series(1_900_000_000 + np.arange(N)))
    assert (column.kind, "1970" in column.note) == ("identifier", False)
