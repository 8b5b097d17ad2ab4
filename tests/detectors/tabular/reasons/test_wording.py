"""Numbers, shares and times as people say them."""

from __future__ import annotations

import pandas as pd
import pytest
from detectors.tabular.reasons.readable import assert_readable
from hypothesis import assume, given
from hypothesis import strategies as st

from vae_anomaly.detectors.tabular.reasons.wording import (
    Scale,
    count_words,
    duration,
    duration_range,
    fitted,
    listed,
    moment,
    multiple,
    name_of,
    quoted,
    seen_words,
    share_words,
)

MONEY = Scale(164.0, 2)
ANY = st.floats(-1e150, 1e150)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (12.5, "12.50"),
        (820.8, "820.80"),
        (1250.0, "1,250"),
        (1299.12, "1,299"),
        (0.0, "0"),
        (-0.0, "0"),
        (-3.0, "-3"),
        (1_234_567.0, "1,234,567"),
        (2.5e9, "2.5 billion"),
        (3.14159e13, "31.4 trillion"),
        (1e20, "a number of 21 digits"),
        (-1e20, "a negative number of 21 digits"),
    ],
)
def test_money_is_said_in_cents_below_a_thousand(value, words):
    assert MONEY.number(value) == words


def test_other_numbers_are_rounded_to_what_their_column_needs():
    assert Scale(6.3, 1).number(305.7) == "305.7"
    assert Scale(0.002).number(0.0123456) == "0.01235"
    assert Scale(40_000.0).number(12_345.678) == "12,346"


def test_nobody_counts_the_zeros_of_small_numbers():
    current = Scale(1.2e-9)
    assert current.number(3.3e-8) == "33 billionths"
    assert current.between(2.41e-9, 3.62e-9, 3.3e-8) == "2.4 billionths to 3.6 billionths"
    assert Scale(2e-5).number(1e-6) == "1 millionth"
    assert Scale(0.0).number(1e-30) == "almost 0"
    assert Scale(160.0).number(1e-7) == "0"


def test_a_year_has_no_comma():
    assert Scale(20.0, 0, is_code=True).number(1995.0) == "1995"
    assert Scale(20.0, 0, is_code=True).number(48201.0) == "48201"


@pytest.mark.parametrize(
    ("scale", "low", "high", "value", "words"),
    [
        (MONEY, 16.2, 180.6, 820.8, "16 to 181"),
        (Scale(82_560.0, 0), 3840.0, 86_400.0, 112_320.0, "4,000 to 86,000"),
        (Scale(6.3, 1), 297.2, 303.5, 295.5, "297.2 to 303.5"),
        (Scale(77_804.0, 0), 108.0, 77_912.0, 328_201.0, "up to 78,000"),
        (Scale(0.0, 0), 0.0, 0.0, 1.0, "0"),
        (Scale(60.0, 0), -40.0, 20.0, 90.0, "-40 to 20"),
    ],
)
def test_a_usual_range_is_rounded_coarsely(scale, low, high, value, words):
    assert scale.between(low, high, value) == words


def test_numbers_that_are_compared_never_read_the_same():
    assert MONEY.number(1299.2, 1299.1) == "1,299.2"
    assert MONEY.between(16.2, 180.6, 180.7) == "16 to 180.60"
    assert Scale(0.0, 2).number(1e-7, 0.0) == "100 billionths"


@given(value=ANY, width=st.floats(0.0, 1e150), decimals=st.none() | st.integers(0, 5))
def test_any_number_can_be_read_aloud(value, width, decimals):
    assert_readable(Scale(width, decimals).number(value))


@given(ends=st.tuples(ANY, ANY), value=ANY, decimals=st.none() | st.integers(0, 5))
def test_any_range_can_be_read_aloud(ends, value, decimals):
    low, high = sorted(ends)
    assume(not low <= value <= high)
    assert_readable(Scale(high - low, decimals).between(low, high, value))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.9, "90 %"),
        (0.2, "1 in 5"),
        (0.022, "1 in 50"),
        (0.0036, "1 in 300"),
        (0.0005, "1 in 2,000"),
    ],
)
def test_a_share_is_said_as_one_in_so_many(share, words):
    assert share_words(share) == words


@pytest.mark.parametrize(
    ("share", "n", "words"),
    [
        (0.0, 500, "never seen in training"),
        (1 / 376, 376, "seen once in 376 training rows"),
        (2 / 376, 376, "seen twice in 376 training rows"),
        (9 / 10_000, 10_000, "seen in 1 in 1,200 training rows"),
        (1 / 376, 0, "seen in 1 in 400 training rows"),
    ],
)
def test_what_was_seen_once_or_twice_is_counted(share, n, words):
    assert seen_words(share, n) == words


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(1.6, "1.5 times"), (2.0, "twice"), (2.6, "2.5 times"), (9.36, "9 times"),
     (39.87, "40 times"), (21.96, "22 times"), (640.0, "600 times"), (5e9, "over 1,000 times")],
)  # fmt: skip
def test_a_ratio_is_said_as_so_many_times(ratio, words):
    assert multiple(ratio) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.0, "1 second"), (59.0, "59 seconds"), (60.0, "1 minute"), (3600.0, "1 hour"),
     (30 * 3600.0, "30 hours"), (9 * 86_400.0, "9 days"), (400 * 86_400.0, "13 months"),
     (3000 * 86_400.0, "8 years")],
)  # fmt: skip
def test_a_length_of_time_has_its_unit_and_number(seconds, words):
    assert duration(seconds) == words


def test_two_lengths_of_time_share_a_unit_where_they_can():
    day = 86_400.0
    assert duration_range(14 * day, 60 * day) == "14 to 60 days"
    assert duration_range(3600.0, 60 * day) == "1 hour to 60 days"
    assert duration_range(0.0, 366 * day) == "up to 1 year"


@given(share=st.floats(1e-9, 1.0), ratio=st.floats(1.5, 1e300), seconds=st.floats(0.0, 1e11))
def test_shares_ratios_and_durations_can_be_read_aloud(share, ratio, seconds):
    for text in (share_words(share), multiple(ratio), duration(seconds)):
        assert_readable(text)


def test_times_are_days_and_clocks():
    time = pd.Timestamp("2026-03-01 03:12")
    assert moment(time, clock=True) == "Sunday, 03:12"
    assert moment(time, clock=False) == "1 March 2026"


def test_names_are_one_line_of_a_bearable_length():
    assert name_of("balance\n(EUR)") == "balance (EUR)"
    assert len(name_of("x" * 90)) == 40
    assert quoted("a  b") == "'a b'"
    assert (count_words(1, "day"), count_words(3, "day")) == ("1 day", "3 days")
    assert listed(["a", "b", "c"]) == "a, b and c"


@given(st.text(min_size=1))
def test_a_text_is_cut_at_a_word(text):
    assert len(fitted(f"a {text}")) <= 140


def test_both_ends_of_a_range_have_one_unit():
    assert Scale(4e9, 0).between(2e8, 4.1e9, 4.3e9) == "0.2 billion to 4.1 billion"
