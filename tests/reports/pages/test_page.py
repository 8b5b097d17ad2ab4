import re
from itertools import pairwise

import pytest
from reports.pages.made import MADE, NIGHTS, page_of

from vae_anomaly.reports.pages.bundle import csp_hash
from vae_anomaly.reports.pages.night import night_page
from vae_anomaly.reports.pages.page import write_page
from vae_anomaly.version import __version__

INLINE = re.compile(r'<(?:script|style)(?: type="module")?>(.*?)</(?:script|style)>', re.DOTALL)


@pytest.fixture(params=NIGHTS, scope="module")
def html(request):
    return page_of(NIGHTS[request.param])


def test_a_page_asks_nobody_for_anything(html):
    page = re.sub(r'<script type="application/json".*?</script>', "", html, flags=re.DOTALL)
    assert set(re.findall(r"\w+://[^\s\"')]+", page)) <= {"http://www.w3.org/2000/svg"}
    for place in re.findall(r'\b(?:src|href|action|poster|srcset)="([^"]*)"', page):
        assert place.startswith(("#", "data:")), place
    assert set(re.findall(r"url\(([^)]*)\)|@import", page)) <= {"#above"}


def test_the_policy_allows_what_stands_in_the_page_and_nothing_else(html):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    stated = set(re.findall(r"sha256-[\w+/=]+", policy))
    assert stated == {csp_hash(text).strip("'") for text in INLINE.findall(html)}
    assert "default-src &#39;none&#39;" in policy
    assert "unsafe" not in policy


def test_no_style_and_no_handler_stands_in_an_element(html):
    page = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    assert not re.findall(r"<[^>]*\s(?:style|on\w+)=", page)


def test_ids_are_unique_and_labels_point_to_what_is_there(html):
    page = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    named = re.findall(r'\s(?:aria-labelledby|aria-describedby|for|data-copy)="([^"]*)"', page)
    inside = re.findall(r'href="#([^"]+)"', page)
    assert {one for names in named for one in names.split()} | set(inside) <= set(ids)


def test_headings_go_down_one_step_at_a_time(html):
    page = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_the_page_says_when_it_was_made_and_by_what(html):
    assert f"30 Nov 2026, 06:12 UTC</time> by vae-anomaly {__version__}" in html


def test_the_same_facts_give_the_same_page():
    night = NIGHTS["rows"]()
    assert night_page(night, made=MADE) == night_page(night, made=MADE)


def test_a_page_is_written_over_an_older_one(tmp_path):
    target = tmp_path / "new folder" / "report.html"
    write_page("<p>old", target)
    assert write_page("<p>grün", target) == target
    assert target.read_text(encoding="utf-8") == "<p>grün"
    assert [one.name for one in target.parent.iterdir()] == ["report.html"]
