"""What `data check` says of numbers that are unclear, and of numbers that stand for nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vae_anomaly.data.doctor import check_table

RNG = np.random.default_rng(0)
N = 1500


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"x": RNG.normal(size=N), **columns})


def items(frame: pd.DataFrame, code: str, **options: object) -> tuple[str, ...]:
    """Return the items of the finding of a code, () without one."""
    report = check_table(frame, **options)
    found = [one for one in report.findings if one.code == code]
    assert all(one.severity == "warning" for one in found)
    return found[0].items if found else ()


UNCLEAR = [f"{v:,}" for v in RNG.integers(1000, 99_999, N)]


def test_numbers_that_could_be_either_are_a_warning_until_a_person_says():
    (item,) = items(table(amount=UNCLEAR), "unclear_numbers")
    assert "--number-format amount=1,234.5" in item
    said = {"amount": "1,234.5"}
    assert items(table(amount=UNCLEAR), "unclear_numbers", number_formats=said) == ()


def test_words_among_numbers_are_a_warning_with_their_share_and_the_option():
    amounts = [f"{v:.2f}" if i % 20 else "pending" for i, v in enumerate(RNG.gamma(2, 30, N))]
    (item,) = items(table(amount=amounts), "mixed_types")
    assert item.startswith("amount: 95.0% numbers")
    assert "--missing amount=pending" in item
    assert items(table(amount=amounts), "mixed_types", missing={"amount": ["pending"]}) == ()


SPIKES = [
    ("amount", -999, RNG.gamma(2, 30, N)),
    ("amount", -1, RNG.normal(80, 9, N)),
    ("amount", 9999, RNG.normal(80, 9, N)),
    ("amount", 99999, RNG.gamma(2, 300, N)),
    ("pressure", 0, RNG.normal(70, 9, N).round().clip(40)),
    ("depth", 12345, RNG.normal(70, 9, N)),
]


@pytest.mark.parametrize(("name", "value", "rest"), SPIKES, ids=[str(s[1]) for s in SPIKES])
def test_a_number_that_repeats_far_from_the_rest_is_named_with_its_share(name, value, rest):
    values = np.where(np.arange(N) % 50 == 0, value, rest)
    (item,) = items(table(**{name: values}), "sentinels")
    assert item == f"{name}: {value} in 2.0% of the cells, --missing {name}={value}"
    assert items(table(**{name: values}), "sentinels", missing={name: [str(value)]}) == ()


@pytest.mark.parametrize(
    "values",
    [
        RNG.normal(0, 1, N),
        RNG.gamma(2, 30, N),
        np.where(np.arange(N) % 2 == 0, 0, RNG.gamma(2, 30, N)),
        RNG.integers(0, 5, N),
        RNG.poisson(3, N),
        RNG.gamma(2, 30, N).clip(0, 150),
        np.where(np.arange(N) == 7, 99999, RNG.normal(0, 1, N)),
    ],
    ids=["normal", "gamma", "half zeros", "codes", "counts", "clipped", "one outlier"],
)
def test_ordinary_numbers_hold_no_sentinel(values):
    assert items(table(v=values), "sentinels") == ()
