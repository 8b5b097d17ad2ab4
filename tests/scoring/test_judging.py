"""What can be scored is scored, what cannot is named, and nothing unscored counts as normal."""

from __future__ import annotations

import numpy as np
import pytest

from vae_anomaly.errors import CalibrationError, DataError, ImageError
from vae_anomaly.scoring.conformal import ConformalCalibration
from vae_anomaly.scoring.judging import (
    Fault,
    all_at_once,
    faults_in,
    judge,
    judge_sound,
    one_by_one,
)

CALIBRATION = ConformalCalibration.fit(np.arange(100.0))
EMPTY = Fault("empty", "the file has 0 bytes")


def halves(items):
    """Halve even numbers; refuse the others, as a detector does: all of them for one."""
    for item in items:
        if item == 13:
            raise ImageError("13 is cut off", code="truncated")
        if item % 2 and item > 0:
            raise DataError(f"{item} is odd")
        if item < 0:
            raise CalibrationError("1 of 1 raw scores are not finite")
    return [item // 2 for item in items]


def test_all_items_are_answered_in_one_call_where_none_is_refused():
    calls = []
    assert all_at_once([2, 4, 6], lambda some: calls.append(some) or halves(some)) == [1, 2, 3]
    assert len(calls) == 1


def test_a_refused_item_is_found_and_costs_the_others_nothing():
    answers = all_at_once([2, 7, -4, 13, 8], halves)
    assert [answer for answer in answers if not isinstance(answer, Fault)] == [1, 4]
    assert faults_in(answers) == [
        None,
        Fault("refused", "7 is odd"),
        Fault("nonfinite_score", "1 of 1 raw scores are not finite"),
        Fault("truncated", "13 is cut off"),
        None,
    ]


def test_nothing_is_asked_about_no_items():
    assert all_at_once([], halves) == []


def test_an_item_that_has_a_fault_already_keeps_it():
    assert one_by_one([4, EMPTY, 7], lambda item: halves([item])[0]) == [
        2, EMPTY, Fault("refused", "7 is odd"),
    ]  # fmt: skip


def test_an_error_of_the_program_is_not_taken_for_a_bad_item():
    with pytest.raises(ZeroDivisionError):
        all_at_once([1, 2], lambda some: [1 / 0 for _ in some])


def test_what_has_no_finite_score_is_named_and_never_normal():
    raw = np.array([50.0, np.nan, -np.inf, 1e308, 12.0])
    verdicts = judge_sound(raw, [None, None, None, None, EMPTY], CALIBRATION, 1.0, "row")
    assert [str(fault) for fault in verdicts.faults] == [
        "None",
        "nonfinite_score: the model gave no finite number for this row",
        "nonfinite_score: the model gave no finite number for this row",
        "None",
        "empty: the file has 0 bytes",
    ]
    assert verdicts.is_anomaly.tolist() == [False, True, True, True, True]
    assert verdicts.is_scored.tolist() == [True, False, False, True, False]
    for values in (verdicts.raw_score, verdicts.score, verdicts.p_value):
        assert np.isfinite(values).tolist() == verdicts.is_scored.tolist()


def test_verdicts_of_sound_items_are_those_of_the_calibration():
    raw = np.array([3.0, 98.5, 250.0])
    sound = judge_sound(raw, [None] * 3, CALIBRATION, 1.0, "row")
    for verdicts in (sound, judge(raw, CALIBRATION, 1.0)):
        assert verdicts.score.tolist() == CALIBRATION.anomaly_score(raw).tolist()
        assert verdicts.p_value.tolist() == CALIBRATION.p_value(raw).tolist()
        assert verdicts.is_extrapolated.tolist() == CALIBRATION.is_extrapolated(raw).tolist()
        assert verdicts.is_anomaly.tolist() == [False, True, True]


def test_items_that_must_all_have_a_score_are_refused_together():
    with pytest.raises(CalibrationError, match="1 of 2 raw scores"):
        judge(np.array([1.0, np.nan]), CALIBRATION, 1.0)


def test_no_items_get_no_verdicts():
    assert judge(np.empty(0), CALIBRATION, 1.0).faults == ()
    assert judge_sound(np.empty(0), [], CALIBRATION, 1.0, "row").is_anomaly.size == 0
