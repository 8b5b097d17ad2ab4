"""Inspected items in a browser: bars of a row, layers of an image, on a desk and on a phone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browser.conftest import DESKTOP, PHONE
from reports.pages import made
from reports.pages.test_compare import HOSTILE
from reports.pages.test_inspect import ITEM, ROW, facts

from vae_anomaly.reports.pages.inspect import inspect_page


def test_a_row_shows_what_each_column_adds(open_page):
    page = open_page(inspect_page(facts()))
    assert page.locator(".contribution__column", has_text="amount").count() == 1
    assert "+7.20" in page.locator(".contributions").inner_text()
    assert page.locator("#tools").is_hidden()


def test_an_image_shows_itself_its_layers_and_its_regions(open_page):
    image = made.images().items[0]
    page = open_page(inspect_page(facts(image)))
    assert page.locator(".inspected__images figure").count() >= 2
    assert page.locator(".regions tbody tr").count() == len(image.image.regions)
    outline = page.locator(".inspected__images figure").nth(1).locator(".frame__outline")
    page.get_by_role("button", name="Outline").click()
    assert not outline.is_visible()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_runs_out_of_the_window(open_page, size):
    row = replace(ROW, file=HOSTILE, cells=((HOSTILE, HOSTILE),))
    hostile = replace(ITEM, id=HOSTILE, reasons=(HOSTILE,), row=row)
    page = open_page(inspect_page(facts(hostile, made.images().items[0])), size=size)
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
