"""A page in the dark, on paper, and without scripts."""

from __future__ import annotations

import pytest
from browser.kinds import KINDS

DARKNESS = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 128"


def test_the_page_is_dark_where_the_system_is(open_page):
    page = open_page(KINDS["night of rows"](), theme="dark")
    assert page.evaluate(DARKNESS)
    page.emulate_media(color_scheme="light")
    assert not page.evaluate(DARKNESS)


def test_the_switch_goes_round_and_what_was_chosen_survives_a_reload(open_page):
    page = open_page(KINDS["night of rows"]())
    button = page.locator("#theme")
    seen = []
    for _ in range(3):
        button.click()
        seen.append((button.get_attribute("data-shown"), page.evaluate(DARKNESS)))
    assert seen == [("light", False), ("dark", True), ("system", False)]
    button.click()
    button.click()
    page.reload()
    assert page.evaluate(DARKNESS)
    assert button.get_attribute("aria-label") == "Theme: dark. Change it."
    page.emulate_media(color_scheme="dark")
    button.click()
    button.click()
    assert not page.evaluate(DARKNESS)  # light was chosen, whatever the system has


@pytest.mark.parametrize("kind", KINDS)
def test_paper_shows_every_section_in_light_and_nothing_to_press(open_page, kind):
    page = open_page(KINDS[kind](), theme="dark")
    page.emulate_media(media="print")
    assert not page.evaluate(DARKNESS)
    shown = [one.is_visible() for one in page.locator("main .section, main article").all()]
    assert shown
    assert all(shown)
    pressed = page.locator("button:visible:not(.card__open):not(.row__toggle)")
    assert pressed.evaluate_all("all => all.map(one => one.outerHTML)") == []
    assert page.pdf(format="A4")[:5] == b"%PDF-"


def test_paper_shows_images_that_were_not_scrolled_to(open_page):
    page = open_page(KINDS["night of images"](), size=(390, 400))
    frames = page.locator(".card .frame")
    page.pdf(format="A4")
    filled = frames.evaluate_all("all => all.every(one => one.querySelector('img'))")
    assert filled
    assert frames.count() == 9


def test_without_scripts_the_page_tells_the_night_and_its_items(open_page):
    page = open_page(KINDS["night of rows"](), java_script_enabled=False)
    assert page.locator("h1").inner_text() == "3 of 6 rows flagged"
    assert page.get_by_role("cell", name="2026-11-29.csv:3", exact=True).first.is_visible()
    assert page.locator(".needs-script:visible").count() == 0
