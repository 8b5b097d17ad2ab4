"""The page of the last nights says which of them had an alarm, why, and what moved when."""

from __future__ import annotations

import re
from dataclasses import replace

from reports.pages.test_compare import HOSTILE

from vae_anomaly.metrics import proportion_interval
from vae_anomaly.reports.facts.monitor import MonitorFacts, NightPoint
from vae_anomaly.reports.pages.monitor import monitor_page

QUIET = NightPoint(
    name="monday", model="cards/3", when="2026-01-05T23:59:00", n_read=3000, n_flagged=32,
    flag_rate=proportion_interval(32, 2990), quarantine_rate=proportion_interval(10, 3000),
    normal_rate=(0.0017, 0.026), age_days=40.0, alarms=(), moved=(),
    stability={"amount": 0.02, "shop": 0.01},
)  # fmt: skip
LOUD = replace(
    QUIET, name="tuesday", n_flagged=1200, flag_rate=proportion_interval(1200, 3000),
    alarms=("column 'amount': PSI 1.69, median 101, was 34.1",), moved=("column 'shop': PSI 0.12",),
    stability={"amount": 1.69, "shop": 0.12, "country": 0.0},
)  # fmt: skip
EMPTY = replace(
    QUIET, name="sunday", when=None, n_read=0, n_flagged=0, flag_rate=proportion_interval(0, 0),
    quarantine_rate=proportion_interval(0, 0), normal_rate=None, age_days=None, stability={},
)  # fmt: skip


def facts(*nights: NightPoint) -> MonitorFacts:
    return MonitorFacts("flags/", nights or (EMPTY, QUIET, LOUD), ("one part tells nothing",))


def test_alarms_are_counted_in_the_title_and_told_in_words():
    page = monitor_page(facts())
    assert ">1 of 3 nights has an alarm</h1>" in page
    assert (
        "The last one, tuesday, is unlike the training: column &#39;amount&#39;: PSI 1.69" in page
    )
    assert "1.69</td>" in page
    assert page.count("nights__rate--loud") == 1 + page.count(".nights__rate--loud")
    assert "one part tells nothing." in page


def test_quiet_nights_are_said_to_be_quiet():
    page = monitor_page(facts(QUIET, QUIET))
    assert ">No alarm in 2 nights</h1>" in page
    assert "Nothing has moved." in page
    assert monitor_page(facts(EMPTY)).count("not known") >= 1


def test_names_stay_text_and_many_nights_stay_small():
    nights = tuple(replace(LOUD, name=f"{HOSTILE}{i}", moved=(HOSTILE,)) for i in range(200))
    page = monitor_page(facts(*nights))
    assert HOSTILE not in page
    assert len(page) < 500_000
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
