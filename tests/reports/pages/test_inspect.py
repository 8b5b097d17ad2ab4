"""The page of inspected items says what the terminal's card says, and keeps names as text."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reports.pages.test_compare import HOSTILE

from vae_anomaly.reports.facts.inspect import InspectedItem, InspectFacts
from vae_anomaly.reports.facts.items import ReviewItem, ShownContribution, ShownRow
from vae_anomaly.reports.pages.inspect import inspect_page

ROW = ShownRow(
    "day.csv", 17, 6.9, (ShownContribution("amount", 7.2, "4120", "about 61", "20 to 180"),), -0.3,
    (("amount", "4120"), ("merchant", "books")),
)  # fmt: skip
ITEM = ReviewItem(
    id="day.csv:17", score=2.9, p_value=0.0012, is_anomaly=True, roles=(), draw=0.0, row=ROW,
    words="as strange as 1 in 800 normal rows", reasons=("amount is 4,120 where 61 was expected",),
    probability=0.42,
)  # fmt: skip


def facts(*items, **changes):
    shown = tuple(InspectedItem(item, False, (("-ELBO", 12.5),)) for item in items or (ITEM,))
    return replace(InspectFacts("cards/3", 2.301, 5000, shown), **changes)


def test_one_item_is_answered_in_the_title_of_its_page():
    page = inspect_page(facts())
    assert ">Anomaly</h1>" in page
    assert "As strange as 1 in 800 normal rows." in page
    assert "above the threshold 2.301" in page
    assert "of 5,000 held-out normals" in page
    assert "amount is 4,120 where 61 was expected" in page
    assert "42%" in page
    assert "12.5" in page


def test_evidence_is_no_power_of_ten():
    one = InspectedItem(ITEM, evidence=(("-log p(x)", 875_123.4), ("KL", 0.314)))
    page = inspect_page(facts(items=(one,)))
    assert "<dd>875,123</dd>" in page
    assert "<dd>0.31</dd>" in page


def test_of_several_items_the_page_counts_the_flagged_first():
    good = replace(ITEM, id="day.csv:18", score=0.3, is_anomaly=False, reasons=(), probability=None)
    page = inspect_page(facts(ITEM, good))
    assert ">1 of 2 items flagged</h1>" in page
    assert page.count("<article") == 2
    assert "not above the threshold 2.301" in page
    assert "Nothing about it stands out." in page


def test_a_score_beyond_all_normals_is_marked():
    one = InspectedItem(ITEM, is_extrapolated=True)
    assert "threshold 2.301, extrapolated" in inspect_page(facts(items=(one,)))


@pytest.mark.parametrize("field", ["id", "words"])
def test_names_and_words_stay_text(field):
    page = inspect_page(facts(replace(ITEM, **{field: HOSTILE, "reasons": (HOSTILE,)})))
    assert "<script>alert" not in page
