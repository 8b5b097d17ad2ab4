"""Whatever files, columns and cells are called, a page shows it as text and keeps its width."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browser import made_models
from browser.conftest import DESKTOP, PHONE
from reports.pages import made
from reports.pages.test_compare import facts as comparison
from reports.pages.test_inspect import facts as inspected

from vae_anomaly.reports.pages.compare import compare_page
from vae_anomaly.reports.pages.inspect import inspect_page
from vae_anomaly.reports.pages.model import model_page
from vae_anomaly.reports.pages.night import night_page

H = f"{made.HOSTILE} <img src=x onerror=alert(2)> <svg onload=alert(3)> javascript:alert(4)"
ALERTED = "window.alert = (text) => { console.error('alert was called: ' + text); };"


def images():
    night = made.images(3, 6)
    named = [
        replace(
            one,
            id=f"{H}/{H}{k}.png",
            words=H,
            reasons=(H, H),
            image=replace(one.image, folder=f"{H}{k}", source=f"/{H}/{k}", heatmap_file=f"{H}.png"),
        )
        for k, one in enumerate(night.items)
    ]
    return replace(
        night, name=H, items=tuple(named), import_command=H, inspect_command=f"{H} {{item}}"
    )


def compared():
    plain = comparison()
    item = replace(plain.moved_a[0], id=H, reasons_a=(H,), reasons_b=(H,), part=H)
    run = replace(plain.a, name=H, models=(H,), n_alone=1, examples_alone=(H,))
    return compare_page(replace(plain, a=run, moved_a=(item,)))


def looked_into():
    item = made.hostile().items[0]
    return inspect_page(inspected(replace(item, id=H, reasons=(H,)), model=H))


PAGES = {
    "night of images": lambda: night_page(images(), made=made.MADE),
    "night of rows": lambda: night_page(made.hostile(), made=made.MADE),
    "model": lambda: model_page(made_models.hostile(), made=made.MADE),
    "comparison": compared,
    "inspected item": looked_into,
}


@pytest.fixture(params=PAGES)
def page(open_page, request):
    return opened(open_page, PAGES[request.param]())


def opened(open_page, html):
    """Open a page that would tell if a text of it were run."""
    page = open_page("<title>before</title>", size=PHONE)
    page.context.add_init_script(ALERTED)
    file = page.url.removeprefix("file://")
    with open(file, "w", encoding="utf-8") as written:  # noqa: PTH123 - an address, not a path
        written.write(html)
    page.reload()
    return page


def widths(page):
    return page.evaluate("[document.documentElement.scrollWidth, innerWidth]")


def test_hostile_names_stay_text_and_make_no_page_wider(page):
    for toggle in page.locator(".row__toggle:visible").all()[:2]:
        toggle.click()
    for summary in page.locator("summary:visible").all():
        summary.click()
    assert page.get_by_text("<script>alert(1)</script>").count() > 0
    made_of_data = page.locator("script:not(head script, #facts, body > script:last-of-type)")
    assert made_of_data.count() == 0
    assert page.locator("img:not([src^='data:image/'])").count() == 0
    assert page.locator("[onerror], [onload], [href^='javascript:']").count() == 0
    assert widths(page)[0] == widths(page)[1] == PHONE[0]
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert widths(page)[0] <= widths(page)[1]


def test_the_viewer_shows_hostile_names_as_text_and_within_the_window(open_page):
    page = opened(open_page, PAGES["night of images"]())
    page.locator(".card__open").first.click()
    assert "alert(4)" in page.locator(".viewer__title").inner_text()
    side = page.locator("dialog.viewer").evaluate("one => [one.scrollWidth, one.clientWidth]")
    assert side[0] <= side[1] <= PHONE[0]
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    assert page.get_by_text("1 of 9 judged").is_visible()
