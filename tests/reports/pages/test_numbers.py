import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.pages.numbers import amount, day, interval, minute, percent


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_share_is_never_rounded_to_all_or_nothing(share):
    assert percent(share) not in {"0%", "100%", "0.00%", "100.0%"}


def test_what_is_not_known_is_said_so():
    assert interval(Interval(float("nan"), 0, 1)) == amount(float("nan")) == "not known"


@pytest.mark.parametrize(
    ("iso", "shown"),
    [("2026-11-29", "29 Nov 2026, 00:00 UTC"), ("last night", "last night"), ("", "")],
)
def test_a_time_that_cannot_be_read_stays_as_it_is(iso, shown):
    assert minute(iso) == shown
    assert day(iso) == shown.split(",")[0]
