import json
import re
from dataclasses import replace

import pytest
from reports.pages.made import (
    MADE,
    empty,
    full,
    hostile,
    images,
    nothing_flagged,
    page_of,
    rows,
)

from vae_anomaly.reports.pages.night import night_page


def facts_in(html):
    return json.loads(re.search(r'id="facts">(.*?)</script>', html, re.DOTALL)[1])


def seen(html):
    body = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.mark.parametrize("make", [images, rows, full])
def test_the_slider_reads_the_very_counts_that_python_made(make):
    night = make()
    steps = facts_in(page_of(make))["steps"]
    assert [step["value"] for step in steps] == [step.value for step in night.steps]
    assert [step["flagged"] for step in steps] == [step.flagged for step in night.steps]
    highs = [step["false_alarms"]["high"] for step in steps]
    assert highs == [step.false_alarms.high for step in night.steps]


def test_the_page_can_be_read_without_a_script():
    text = seen(night_page(images(), made=MADE))
    for said in (
        "37 of 4,120 images flagged",
        "1 warning",
        "castings/3",
        "5f0c9ae2b17d",
        "false-alarm rate of at most 0.005",
        "The file ends before its image does.",
        "Copy these files again",
        "cam2/part_00000.png",
        "and 5 more in quarantine/castings/2026-11-29.jsonl",
        "lower left 6 flags",
    ):
        assert said in text


def test_an_empty_night_says_so_and_draws_nothing():
    night = empty()
    for one in (night, replace(night, histogram=images().histogram)):
        html = night_page(one, made=MADE)
        assert "No images were scored" in seen(html)
        assert 'id="slider"' not in html


def test_what_there_is_none_of_has_no_section():
    html = night_page(nothing_flagged(), made=MADE)
    assert 'id="quarantine"' not in html
    assert 'id="changes"' not in html
    assert "No warnings" in seen(html)


def test_figures_that_are_not_known_have_no_row():
    assert "Anomalies found" not in seen(night_page(images(), made=MADE))
    assert "Anomalies found" in seen(night_page(rows(), made=MADE))


def test_texts_of_the_data_stay_texts():
    html = night_page(hostile(), made=MADE)
    assert "<script>alert" not in html
    assert "<b>" not in html


def test_a_page_without_a_command_offers_none():
    html = night_page(replace(images(), threshold_command=""), made=MADE)
    assert 'id="trial-command"' not in html


def test_held_out_scores_are_drawn_and_not_kept_in_the_page():
    assert facts_in(night_page(images(), made=MADE))["scoring"]["held_out"] == []
