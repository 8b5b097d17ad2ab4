"""A reviewer at work: looks, sorts, judges, takes the files along."""

from __future__ import annotations

import csv
import shlex
from dataclasses import replace

import pytest
from reports.pages import made

from vae_anomaly.reports.pages.night import night_page
from vae_anomaly.thresholds.reviews.verdicts import read_verdicts

NASTY = (
    "=cmd|'/c calc'!A1",
    'a "quoted", name\' & co.png',
    "two\nlines.png",
    "-1+2.png",
    "@sum(1)",
    "تقرير/צורה.png",
    "🔥 hot 🧯.png",
    "001",
    "<script>alert(1)</script>",
    "x" * 300,
)


@pytest.fixture(scope="module")
def images():
    return night_page(made.images(7, 60), made=made.MADE)


@pytest.fixture(scope="module")
def rows():
    return night_page(made.rows(12, 60), made=made.MADE)


def nasty_rows():
    night = made.rows(len(NASTY), 60)
    named = [replace(one, id=name) for one, name in zip(night.items, NASTY, strict=False)]
    return replace(night, items=(*named, *night.items[len(NASTY) :]))


def download(page, name, folder):
    with page.expect_download() as saved:
        page.get_by_role("button", name=name).click()
    path = folder / saved.value.suggested_filename
    saved.value.save_as(path)
    return path


def test_decisions_are_read_by_the_import_whatever_items_are_called(open_page, tmp_path):
    page = open_page(night_page(nasty_rows(), made=made.MADE))
    for place in range(len(NASTY)):
        page.locator(".row").nth(place).locator("button").first.focus()
        page.keyboard.press("12"[place % 2])
    page.locator(".row").nth(len(NASTY) + 24).locator(".verdict").nth(2).click()
    read = read_verdicts(download(page, "decisions.csv", tmp_path))
    given = dict(zip(read.frame["item"], read.frame["is_anomaly"], strict=True))
    assert given == {name: place % 2 == 0 for place, name in enumerate(NASTY)}
    assert read.undecided == 1
    assert not read.frame["audit"].any()
    assert read.frame["when"].notna().all()


def test_items_drawn_at_random_are_marked_in_the_decisions(open_page, images, tmp_path):
    page = open_page(images)
    page.locator("[data-group=audit]").click()
    page.locator(".card").first.get_by_role("button", name="Confirmed").click()
    read = read_verdicts(download(page, "decisions.csv", tmp_path))
    assert read.frame["audit"].tolist() == [True]


def test_verdicts_survive_a_reload_and_can_be_forgotten(open_page, images):
    page = open_page(images)
    page.locator(".card").nth(1).get_by_role("button", name="False alarm").click()
    page.reload()
    button = page.locator(".card").nth(1).get_by_role("button", name="False alarm")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.get_by_text("1 of 61 judged").is_visible()
    page.get_by_role("button", name="Clear verdicts").click()
    page.get_by_role("button", name="Forget them").click()
    assert button.get_attribute("aria-pressed") == "false"
    page.reload()
    assert page.get_by_text("0 of 61 judged").is_visible()


def test_without_storage_verdicts_work_and_the_page_says_that_they_are_not_kept(
    open_page, images, tmp_path
):
    denied = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } });"
    page = open_page("<title>before</title>")
    page.context.add_init_script(denied)
    file = tmp_path / "page-0.html"
    file.write_text(images, encoding="utf-8")
    page.reload()
    page.locator(".card").first.get_by_role("button", name="Confirmed").click()
    assert page.get_by_text("1 of 61 judged").is_visible()
    assert page.get_by_text("This browser keeps nothing for this page").is_visible()
    assert read_verdicts(download(page, "decisions.csv", tmp_path)).frame.shape[0] == 1


def test_the_viewer_is_walked_by_keys_and_gives_the_focus_back(open_page, images):
    page = open_page(images)
    page.locator(".card__open").first.focus()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog")
    assert viewer.get_by_text("1 of 61").first.is_visible()
    for key in ("j", "ArrowRight", "k"):
        page.keyboard.press(key)
    assert viewer.get_by_text("2 of 61").first.is_visible()
    page.keyboard.press("1")
    assert viewer.get_by_text("3 of 61").first.is_visible()
    page.keyboard.press("+")
    assert viewer.get_by_text("140%").is_visible()
    page.keyboard.press("f")
    assert viewer.get_by_text("100%").is_visible()
    page.keyboard.press("Escape")
    assert viewer.is_hidden()
    assert page.locator(".card").nth(1).get_attribute("data-verdict") == "confirmed"
    page.locator(".card").nth(2).locator(":focus").wait_for()  # a dialog tells later that it closed


def test_a_card_is_drawn_with_its_map_on_the_fixed_scale(open_page, images):
    page = open_page(images)
    page.locator(".card").first.scroll_into_view_if_needed()  # cards are drawn when they come near
    page.locator(".frame__heat").first.wait_for()
    page.wait_for_timeout(500)
    red, green, blue, opacity = page.evaluate("""() => {
        const heat = document.querySelector(".frame__heat");
        const { data } = heat.getContext("2d").getImageData(0, 0, heat.width, heat.height);
        let hottest = 0;
        for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] > data[hottest + 3]) hottest = at;
        return [...data.slice(hottest, hottest + 4)];
    }""")
    share = opacity / 255 / 0.65
    assert share > 0.5
    expected = [min(max(255 * (3 * share - k), 0), 255) for k in range(3)]
    assert [red, green, blue] == pytest.approx(expected, abs=8)


def test_filters_search_and_order_choose_the_cards(open_page, images):
    page = open_page(images)
    names = page.locator(".card:visible .card__name")
    page.get_by_label("Folder").select_option(label="cam1 (21)")
    assert names.count() == 21
    page.get_by_label("Search ids and reasons").fill("flagged_3")
    assert names.all_inner_texts() == ["flagged_3.png"]
    page.get_by_label("Search ids and reasons").fill("nothing is called this")
    assert page.get_by_text("No item is like that.").is_visible()
    page.get_by_role("button", name="Show all").click()
    assert names.count() == 61
    page.get_by_label("Region from").fill("5000")
    assert names.count() == 0


def test_a_row_opens_to_its_contributions_and_its_cells(open_page, rows):
    page = open_page(rows)
    row = page.locator(".row").first
    row.locator(".row__toggle").click()
    assert row.locator(".contribution__column").all_inner_texts()[:2] == ["amount", "country"]
    row.locator(".bar-line__fill").nth(2).wait_for()
    widths = row.locator(".bar-line__fill").evaluate_all("all => all.map(one => one.offsetWidth)")
    assert widths[0] > widths[1] > widths[2] > 0
    assert "\N{MINUS SIGN}" in row.locator(".contribution__nats").nth(3).inner_text()
    row.locator("summary").click()
    assert row.locator(".cells dt").all_inner_texts()[-1] == "channel"


def test_the_command_that_explains_an_item_names_a_row_by_file_and_number(open_page):
    night = made.rows(1, 9)
    shown = replace(night.items[0].row, file="/data/to day/it's.csv", row=12)
    night = replace(night, items=(replace(night.items[0], row=shown),))
    page = open_page(night_page(night, made=made.MADE))
    page.locator(".row__toggle").click()
    command = page.locator(".row .command code").inner_text()
    words = shlex.split(command)
    assert words[:2] == ["vae-anomaly", "inspect"]
    assert words[-1] == "/data/to day/it's.csv:12"


def test_rows_are_sorted_by_what_a_column_adds(open_page, rows):
    page = open_page(rows)
    page.get_by_label("Order").select_option("column:country")
    added = page.locator(".group").first.locator(".row__column").all_inner_texts()
    values = [float(text.removesuffix(" nats")) for text in added]
    assert len(values) == 12
    assert values == sorted(values, reverse=True)


def test_no_cell_of_the_flagged_list_is_a_formula(open_page, tmp_path):
    page = open_page(night_page(nasty_rows(), made=made.MADE))
    path = download(page, "Flagged list", tmp_path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["item"].lstrip("'") for line in table] == list(NASTY)
    assert not [one for line in table for one in line.values() if one[:1] in tuple("=+@\t\r")]
    assert table[0]["score"] == str(nasty_rows().items[0].score)


def test_nothing_scrolls_sideways_on_a_phone(open_page, images, rows):
    for html in (images, rows, night_page(made.hostile(), made=made.MADE)):
        page = open_page(html, size=(390, 844))
        for toggle in page.locator(".row__toggle").all()[:2]:
            toggle.click()
        items = page.locator("#items").evaluate("items => [items.scrollWidth, items.clientWidth]")
        assert items[0] <= items[1] <= 390
