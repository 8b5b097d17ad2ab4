"""A threshold moved by keys: every key does what the help says, and nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.errors import CalibrationError
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.interactive import InteractiveThreshold, ThresholdContext

SCORES = np.random.default_rng(0).normal(size=1000).round(2)  # with ties
MOVES = ["up", "down", "left", "right"]


def start(**how) -> InteractiveThreshold:
    return InteractiveThreshold(
        ThresholdContext(SCORES, SCORES, **how), Threshold.from_fpr(SCORES, 0.05)
    )


@given(st.lists(st.sampled_from(MOVES), max_size=30))
def test_up_and_right_never_flag_more_and_down_and_left_never_fewer(keys):
    mover = start()
    for key in keys:
        moved = mover.press(key)
        if key in {"up", "right"}:
            assert moved.flagged < mover.flagged or mover.flagged == 0
        else:
            assert moved.flagged > mover.flagged or mover.flagged == len(SCORES)
        mover = moved


def test_up_takes_a_quarter_off_and_right_the_next_score():
    mover = start()
    assert mover.press("up").flagged == pytest.approx(mover.flagged / 1.25, abs=3)
    above = np.unique(SCORES[mover.threshold.value < SCORES])
    assert mover.press("right").threshold.value == above[0]


@pytest.mark.parametrize("key", ["up", "down"])
def test_both_ends_are_reached_and_said(key):
    mover = start()
    for _ in range(60):
        mover = mover.press(key)
    assert mover.flagged == (0 if key == "up" else len(SCORES))
    assert "as far as" in mover.message


def test_figures_follow_the_threshold():
    mover = start(volume=500.0).press("up")
    share = np.mean(mover.threshold.value < SCORES)
    assert mover.threshold.expected_fpr.estimate == pytest.approx(share)
    assert mover.threshold.alarms_per_day(500).estimate == pytest.approx(500 * share)
    assert "by hand" in mover.threshold.note


def test_a_typed_rate_is_the_threshold_that_the_policy_would_choose():
    moved = start().typing("2%").press("enter")
    assert moved.threshold.value == Threshold.from_fpr(SCORES, 0.02).value
    assert moved.threshold.policy == "fpr"
    assert (moved.outcome, moved.typed) == ("", "")


def test_typed_alarms_a_day_need_a_volume():
    assert "Add --volume" in start().typing("20d").press("enter").message
    moved = start(volume=1000.0).typing("20d").press("enter")
    assert moved.threshold.value == Threshold.from_fpr(SCORES, 0.02).value


def test_a_typed_number_is_a_bound_on_the_score():
    assert start().typing("1.5").press("enter").threshold.value == 1.5


@pytest.mark.parametrize(
    ("typed", "told"), [("1.2.3", "no number"), ("0.01%", "at best"), ("200%", "between 0 and 1")]
)
def test_what_cannot_be_is_said_and_nothing_moves(typed, told):
    before = start()
    after = before.typing(typed).press("enter")
    assert told in after.message
    assert after.threshold == before.threshold
    assert after.outcome == ""


def test_backspace_and_escape_take_back_what_was_typed():
    assert start().typing("12").press("backspace").typed == "1"
    assert start().typing("12").press("escape").typed == ""
    assert start().typing("12").press("escape").outcome == ""


@pytest.mark.parametrize(("key", "outcome"), [("enter", "kept"), ("q", "left"), ("escape", "left")])
def test_enter_keeps_and_q_leaves_and_then_no_key_counts(key, outcome):
    done = start().press("up").press(key)
    assert done.outcome == outcome
    assert done.press("up") == done


def test_enter_at_once_keeps_what_the_policy_chose():
    assert start().press("enter").threshold == Threshold.from_fpr(SCORES, 0.05)


def test_an_unknown_key_says_what_there_is():
    assert "Arrows" in start().press("x").message


def test_equal_scores_are_refused():
    with pytest.raises(CalibrationError, match="nothing to move between"):
        ThresholdContext(np.ones(5), np.ones(5))
