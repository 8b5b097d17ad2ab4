"""No kind of page shuts out who reads by ear, works by keyboard, or sees weakly."""

from __future__ import annotations

import pytest
from browser.axe import faults_for_readers
from browser.conftest import DESKTOP, PHONE
from browser.kinds import KINDS

pytest.importorskip("axe_playwright_python", reason="axe-core comes with the extra [browser]")


@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_grave_on_a_page(open_page, kind):
    page = open_page(KINDS[kind]())
    found = {}
    for width, height in (DESKTOP, PHONE):
        page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found[theme, width] = faults_for_readers(page, colours_only=theme == "dark")
    assert {key: faults for key, faults in found.items() if faults} == {}


def test_axe_finds_nothing_grave_while_an_image_is_looked_at(open_page):
    page = open_page(KINDS["night of images"](), size=PHONE)
    page.locator(".card__open").first.click()
    assert page.get_by_role("dialog").is_visible()
    assert faults_for_readers(page) == []
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert faults_for_readers(page) == []
    page.emulate_media(color_scheme="dark")
    assert faults_for_readers(page, colours_only=True) == []


def test_axe_finds_nothing_grave_while_a_row_is_open_and_judged(open_page):
    page = open_page(KINDS["night of rows"](), size=PHONE)
    page.locator(".row__toggle").first.click()
    page.locator(".row summary").first.click()
    for row, verdict in zip(page.locator(".row").all(), range(3), strict=False):
        row.locator(".verdict").nth(verdict).click()
    page.locator("#slider").press("ArrowRight")
    assert faults_for_readers(page) == []
    page.emulate_media(color_scheme="dark")
    assert faults_for_readers(page, colours_only=True) == []
    page.get_by_role("button", name="Reset").click()
    assert faults_for_readers(page) == []


@pytest.mark.parametrize("kind", ["night of images", "night of rows"])
def test_axe_finds_nothing_grave_where_a_tried_threshold_would_spare_every_flag(open_page, kind):
    page = open_page(KINDS[kind]())
    page.locator("#slider").press("End")
    assert page.locator(".is-below").count() == 3
    assert faults_for_readers(page) == []
    page.emulate_media(color_scheme="dark")
    assert faults_for_readers(page, colours_only=True) == []
