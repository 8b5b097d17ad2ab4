"""Numbered columns are told together, and none is lost by it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.data.tables.families import listed_columns, told_together


def test_a_run_of_numbered_columns_is_one_entry_where_the_first_stood():
    told = [("Time", "clock"), *((f"V{i}", "numbers") for i in range(1, 29)), ("Amount", "numbers")]
    assert told_together(told) == [
        ("Time", "clock"), ("V1 to V28", "numbers"), ("Amount", "numbers"),
    ]  # fmt: skip


def test_what_differs_is_told_apart_and_gaps_are_shown():
    told = [(f"{i}", "constant" if i in {3, 4, 7} else "numbers") for i in range(10)]
    assert told_together(told) == [
        ("0 to 2, 5 to 6, 8 to 9", "numbers"), ("3 to 4, 7", "constant"),
    ]  # fmt: skip


def test_two_columns_stay_two_and_a_unit_may_follow_the_number():
    assert listed_columns(["x1", "x2", "at"]) == "x1, x2, at"
    assert listed_columns([f"T{i} [K]" for i in (1, 2, 3)]) == "T1 [K] to T3 [K]"
    assert listed_columns([f"s{i}" for i in (1, 3, 5, 7, 9)]) == "s1, s3, s5 and 2 more"


def told_by(shown: str) -> int:
    """Count the columns that an entry stands for."""
    names, _, more = shown.partition(" and ")
    runs = [list(map(int, re.findall(r"\d+", run))) for run in names.split(", ")]
    return sum(run[-1] - run[0] + 1 for run in runs) + sum(map(int, re.findall(r"\d+", more)))


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("xy")), unique_by=lambda t: t[0]))
def test_no_column_is_lost_or_told_twice(told):
    shown = told_together((f"V{number}", said) for number, said in told)
    for wanted in "xy":
        counted = sum(told_by(names) for names, said in shown if said == wanted)
        assert counted == sum(said == wanted for _, said in told)
