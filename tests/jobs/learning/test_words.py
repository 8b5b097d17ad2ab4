"""What people are told of what was learned."""

from __future__ import annotations

from datetime import date

from vae_anomaly.jobs.learning.figures import FalseAlarms, RankComparison
from vae_anomaly.jobs.learning.learn import VerdictLesson
from vae_anomaly.jobs.learning.words import lesson_lines
from vae_anomaly.metrics import proportion_interval


def told(few: int, repeated: tuple[str, ...] = ()) -> str:
    """Return the lines of a lesson with so many false alarms at .05 among 63 items."""
    alarms = (FalseAlarms(0.05, 63, proportion_interval(few, 63)),)
    lesson = VerdictLesson(
        "parts", date(2026, 1, 2), 1, 30, 7, 10, 0, (), repeated, 0, (), False, 7, False, alarms,
        RankComparison(), "d",
    )  # fmt: skip
    return "\n".join(lesson_lines(lesson))


def test_more_false_alarms_than_the_combined_p_value_says_are_pointed_out():
    assert "more than the p-value says" in told(29)
    assert "more than the p-value says" not in told(5)  # 7.9 %, as chance may have it


def test_names_that_several_nights_have_kept_are_told_of():
    assert "several nights have kept 1 judged item: cam1/0001.png." in told(0, ("cam1/0001.png",))
    assert "same names" not in told(0)
