"""Every position of the slider counts exactly what a threshold there would flag."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.jobs.report.night.held_out import HeldOutScores
from vae_anomaly.jobs.report.night.scores import NightScores
from vae_anomaly.jobs.report.night.steps import MOST_STEPS, histogram_of, slider_steps
from vae_anomaly.metrics import is_flagged

HELD_OUT = HeldOutScores(-np.log10(np.arange(200, 0, -1) / 201), 200)


def night_of(scores, bound: float = 2.0) -> NightScores:
    values = np.asarray(scores, dtype=np.float64)
    return NightScores(values, is_flagged(values, bound))


@given(
    st.lists(st.floats(-2, 80, allow_subnormal=False), min_size=1, max_size=200),
    st.floats(0.5, 4),
)
def test_each_position_flags_what_the_rule_of_a_flag_flags(scores, bound):
    night = night_of(scores, bound)
    steps = slider_steps(night, HELD_OUT, bound)
    assert len(steps) <= MOST_STEPS
    values = [step.value for step in steps]
    assert values == sorted(set(values))
    for step in steps:
        assert step.flagged == is_flagged(scores, step.value).sum()
    assert next(s for s in steps if s.value == bound).flagged == night.flagged.sum()
    assert (steps[0].value <= 0.0 or bound < 0.5, steps[-1].flagged) == (True, 0)


def test_a_score_that_is_no_number_is_flagged_at_every_position():
    night = night_of([0.5, np.nan, 3.0])
    steps = slider_steps(night, HELD_OUT, 2.0)
    assert next(s for s in steps if s.value == 2.0).flagged == 2 == night.flagged.sum()
    assert steps[-1].flagged == 1


def test_few_scores_far_out_take_no_positions_from_the_rest():
    scores = np.r_[np.random.default_rng(0).exponential(0.43, 5_000), 80.0, 300.0]
    steps = slider_steps(night_of(scores), HELD_OUT, 2.0)
    near = [step for step in steps if 1.5 <= step.value <= 2.5]
    assert len(near) >= 50
    assert {step.flagged for step in steps} >= {0, 1, 2}


def test_positions_can_be_typed():
    """What a command prints is what was counted."""
    for step in slider_steps(night_of(np.linspace(0, 4, 999)), HELD_OUT, 1.987654321):
        assert step.value == 1.987654321 or len(f"{step.value}".partition(".")[2]) <= 4


def test_false_alarms_fall_as_the_threshold_rises():
    steps = slider_steps(night_of(np.linspace(0, 5, 300)), HELD_OUT, 2.0)
    for name in ("estimate", "low", "high"):
        alarms = [getattr(step.false_alarms, name) for step in steps]
        assert alarms == sorted(alarms, reverse=True)


@pytest.mark.parametrize("far", [(), (45.0, 90.0)], ids=["near", "far"])
def test_the_histogram_counts_every_item_and_says_where_its_last_bin_is_open(far):
    scores = np.r_[np.linspace(-0.3, 4, 500), far]
    drawn = histogram_of(night_of(scores), HELD_OUT, 2.0)
    assert sum(drawn.counts) == len(scores)
    assert sum(drawn.normal) == pytest.approx(len(scores), abs=0.1)
    assert drawn.is_open == bool(far)
    assert len(drawn.edges) == len(drawn.counts) + 1 <= 90


def test_what_verdicts_tell_stands_at_each_position():
    steps = slider_steps(
        night_of([0.5, 3.0]), HELD_OUT, 2.0, lambda value: {"precision": None, "cost": None}
    )
    assert {step.precision for step in steps} == {None}
