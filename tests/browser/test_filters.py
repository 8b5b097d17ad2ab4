"""What a reviewer asks to see, by role, verdict, size of region and order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reports.pages import made

from vae_anomaly.reports.pages.night import night_page

SIZES = """all => all.map(one => one.textContent.split(" ")[0]).map(Number)"""
SCORES = "all => all.map(one => Number(one.lastChild.textContent))"


@pytest.fixture
def page(open_page):
    return open_page(night_page(made.images(7, 12), made=made.MADE))


def test_items_are_shown_by_role_verdict_and_size_of_region(page):
    cards = page.locator(".card:visible")
    assert cards.count() == 17
    page.get_by_role("button", name="Nearest misses").click()
    assert cards.count() == 5
    page.get_by_role("button", name="All").click()
    largest = [one.image.regions[0] for one in made.images(7, 12).items]
    sides = [max(one.right - one.left, one.bottom - one.top) for one in largest]
    for side in (min(sides), max(sides), max(sides) + 1):
        page.get_by_label("Region from").fill(str(side))
        assert cards.count() == sum(one >= side for one in sides)
    page.get_by_label("Region from").fill("")
    cards.nth(0).get_by_role("button", name="Unsure").click()
    page.get_by_label("Verdict", exact=True).select_option("unsure")
    assert cards.count() == 1
    page.get_by_label("Verdict", exact=True).select_option("none")
    assert cards.count() == 16


def test_images_are_ordered_by_score_size_and_name(page):
    first = page.locator(".group").first
    scores = first.locator(".card__score")
    falling = scores.evaluate_all(SCORES)
    assert falling == sorted(falling, reverse=True)
    page.get_by_label("Order").select_option("side")
    sizes = first.locator(".card__size").evaluate_all(SIZES)
    assert sizes == sorted(sizes, reverse=True)
    page.get_by_label("Order").select_option("id")
    names = first.locator(".card__open").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert names == sorted(names)
    page.get_by_label("Order").select_option("score")
    assert scores.evaluate_all(SCORES) == falling


def test_what_verdicts_have_taught_orders_the_items_at_first(open_page):
    night = made.images(7, 12)
    items = [replace(item, learned=(k % 4) / 10) for k, item in enumerate(night.items)]
    page = open_page(night_page(replace(night, items=tuple(items)), made=made.MADE))
    group = page.locator(".group").first
    names = group.locator(".card__open").evaluate_all("all => all.map(one => one.ariaLabel)")
    likeliest = sorted(items[:7], key=lambda item: (-item.learned, -item.score))
    assert names == [f"Open {item.id}: {item.words}" for item in likeliest]
    page.get_by_label("Order").select_option("score")
    scores = group.locator(".card__score").evaluate_all(SCORES)
    assert scores == sorted(scores, reverse=True)


def test_keys_go_on_answer_and_take_back(page):
    cards = page.locator(".card")
    cards.first.locator("button").first.focus()
    for key in ("1", "j", "2", "ArrowRight", "3", "j", "1", "0"):
        page.keyboard.press(key)
    given = cards.evaluate_all("all => all.map(one => one.dataset.verdict ?? '')")
    assert given[:5] == ["confirmed", "false alarm", "unsure", "", ""]
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('.card').dataset.verdict") == "unsure"
    again = page.context.new_page()  # another window of the same browser
    again.goto(page.url)
    assert again.get_by_text("3 of 17 judged").is_visible()
    again.locator(".card").nth(4).get_by_role("button", name="Confirmed").click()
    page.get_by_text("4 of 17 judged").wait_for()
