from dataclasses import replace

import pytest
from reports.pages.made import empty, images, nothing_flagged, rows

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.pages.answer import answer


def with_alarms(low, high, estimate=41.0):
    return replace(images(), expected_false_alarms=Interval(estimate, low, high))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (30, 54, "This night has about as many flags as that."),
        (37, 54, "This night has about as many flags as that."),
        (10, 36, "This night has more flags than that."),
        (38, 54, "This night has fewer flags than that."),
    ],
)
def test_flags_are_compared_with_the_interval_of_false_alarms(low, high, said):
    assert answer(with_alarms(low, high)).comparison == (
        f"As many normal images would give about 41 false alarms at this threshold "
        f"({low} to {high}). {said}"
    )


def test_the_headline_counts_what_the_model_reads():
    assert answer(images()).headline == "37 of 4,120 images flagged"
    assert answer(rows()).headline == "64 of 9,500 rows flagged"
    assert answer(nothing_flagged()).headline == "None of 800 images flagged"


def test_an_empty_night_is_not_compared():
    said = answer(empty())
    assert said.headline == "No images were scored"
    assert said.comparison == ""


def test_what_is_not_known_is_not_compared():
    said = answer(with_alarms(0.0, 1.0, estimate=float("nan")))
    assert said.comparison == "How many false alarms to expect at this threshold is not known."


def test_warnings_are_counted_and_other_notices_are_not():
    assert answer(images()).state == "1 warning"
    assert answer(nothing_flagged()).state == "No warnings"
