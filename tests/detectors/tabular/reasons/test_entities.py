"""A row beside the past of its own card."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from detectors.tabular.reasons.readable import assert_readable
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.data.tables.entity_features import FEATURES
from vae_anomaly.data.tables.entity_histories import EntityColumns, EntityHistories
from vae_anomaly.detectors.tabular.encode.columns import NumericColumn
from vae_anomaly.detectors.tabular.reasons.entities import EntityColumn, entity_columns

HISTORIES = EntityHistories(EntityColumns(("card",), time="at", amount="euro"))
COLUMNS = entity_columns(HISTORIES)


def told(feature: str, value: float, usual: np.ndarray, **cells: float) -> str | None:
    """Say what is strange about a value of a feature that usually is as given."""
    name = f"card: {feature}"
    row = pd.Series({**{f"card: {k}" if k in FEATURES else k: v for k, v in cells.items()},
                     name: value})  # fmt: skip
    return COLUMNS[name].strange(NumericColumn.fit(name, pd.Series(usual)), row)


def ratio(amount: float, usual: float) -> float:
    return math.log1p(amount) - math.log1p(usual)


AROUND = np.linspace(-0.6, 0.6, 500)
HOURS = np.log1p(np.linspace(2.0, 40.0, 500))


def test_an_amount_is_compared_with_the_card_s_own_usual():
    high, low = ratio(640.0, 16.0), ratio(0.5, 64.0)
    assert told("amount / usual", high, AROUND, euro=640.0) == (
        "euro 640, 40 times the usual 16 of this card"
    )
    assert told("amount / usual", low, AROUND, euro=0.5) == "euro 0.50, usual for this card is 64"
    assert told("amount / usual", high, AROUND) == "euro is 38 times what is usual for this card"


def test_deviations_are_told_as_the_range_of_the_card_s_own_amounts():
    cells = {"euro": 104.0, "amount / usual": ratio(104.0, 30.0)}
    deviations = (104.0 - 30.0) / 2.0  # the spread is 2
    assert told("amount z", deviations, AROUND, **cells) == (
        "euro 104, usual for this card is 26.70 to 33.30"
    )
    assert told("amount z", -9.0, AROUND) == "euro is far below what is usual for this card"


def test_a_range_from_nothing_on_has_one_end():
    cells = {"euro": 504.0, "amount / usual": ratio(504.0, 30.0)}
    assert told("amount z", (504.0 - 30.0) / 40.0, AROUND, **cells) == (
        "euro 504, usual for this card is up to 96"
    )


def test_levels_pace_and_gaps_are_told_in_words():
    assert told("day / usual", math.log(4.1), AROUND) == (
        "mean euro of this card in the last day is 4 times its usual"
    )
    assert told("week / usual", math.log(0.1), AROUND) == (
        "mean euro of this card in the last 7 days is far below its usual"
    )
    assert told("pace", math.log(5.2), AROUND) == (
        "this card has about 5 times its usual number of rows in the last day"
    )
    assert told("hours since last", math.log1p(216.0), HOURS) == (
        "first row of this card for 9 days, usual is at most 38 hours"
    )
    assert told("hours since last", math.log1p(40.0 / 3600.0), HOURS) == (
        "40 seconds after the last row of this card, usual is at least 4 hours"
    )


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_usual_among_cards_is_no_reason(feature):
    assert told(feature, 1.0, np.linspace(0.0, 2.0, 500), euro=50.0) is None


def test_a_ratio_of_about_one_is_no_reason_however_narrow_the_column():
    narrow = np.linspace(-0.01, 0.01, 500)
    assert told("pace", 0.1, narrow) is None
    assert told("week / usual", -0.1, narrow) is None


def test_a_newcomer_is_a_reason_where_newcomers_are_rare():
    rare, usual = np.append(AROUND, np.nan), np.append(AROUND, [np.nan] * 50)
    assert told("pace", np.nan, rare) == (
        "no row of this card in the last 30 days, as for 1 in 500 training rows"
    )
    assert told("pace", np.nan, usual) is None


@given(
    feature=st.sampled_from(FEATURES),
    value=st.floats(-1e6, 1e6) | st.floats(-5.0, 5.0) | st.just(math.nan),
    amount=st.floats(-1e9, 1e12) | st.just(math.nan),
    usual=st.floats(0.0, 1e9),
)
def test_whatever_the_past_is_its_reason_can_be_read_aloud(feature, value, amount, usual):
    value = abs(value) if feature == "hours since last" else value
    ratio_of_amount = ratio(max(amount, 0.0), usual)
    cells = {"euro": amount, "amount / usual": ratio_of_amount}
    value = ratio_of_amount if feature == "amount / usual" else value
    assert_readable(told(feature, value, AROUND, **cells) or "nothing")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("customer_id", "this customer"),
        ("CUSTOMER_ID", "this customer"),
        ("cardId", "this card"),
        ("card id", "this card"),
        ("grid", "this grid"),
        ("id", "this id"),
    ],
)
def test_an_identifier_is_called_by_what_it_identifies(column, words):
    declared = EntityColumns((column,), "at", "euro")
    assert EntityColumn(declared, column, "pace").this == words
