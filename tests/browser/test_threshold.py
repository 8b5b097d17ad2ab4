"""The slider shows at each of its places what Python computed for it, in Python's words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reports.pages import made

from vae_anomaly.reports.charts.histogram import score_range
from vae_anomaly.reports.pages.night import night_page
from vae_anomaly.reports.pages.numbers import (
    amount,
    ends,
    percent,
    score,
    share_ends,
    thousands,
)

COMMAND = "vae-anomaly threshold manual models:/castings --value {value}"


@pytest.fixture(scope="module")
def night():
    return replace(made.rows(12, 60), threshold_command=COMMAND)


@pytest.fixture
def page(open_page, night):
    return open_page(night_page(night, made=made.MADE))


def told(step):
    """Say of a step what the page is to show, by the id of its cell."""
    return {
        "value": score(step.value),
        "flagged": thousands(step.flagged),
        "alarms": amount(step.false_alarms.estimate) + ends(step.false_alarms),
        "precision": percent(step.precision.estimate) + share_ends(step.precision),
        "recall": percent(step.recall.estimate) + share_ends(step.recall),
        "cost": amount(step.cost.estimate) + ends(step.cost),
    }


def shown(page):
    cells = page.locator("[id^=trial-]:is(td)").evaluate_all(
        "cells => cells.map(one => [one.id.replace('trial-', ''), one.textContent.trim()])"
    )
    return dict(cells)


def in_force(night):
    return next(k for k, step in enumerate(night.steps) if step.value == made.THRESHOLD)


def test_every_count_follows_the_keys_to_what_python_computed(page, night):
    at, last = in_force(night), len(night.steps) - 1
    slider = page.get_by_label("Threshold", exact=True)
    assert shown(page) == told(night.steps[at])
    for key, place in [
        ("ArrowRight", at + 1), ("ArrowUp", at + 2), ("ArrowLeft", at + 1), ("PageUp", at + 11),
        ("PageDown", at + 1), ("End", last), ("ArrowRight", last), ("Home", 0), ("ArrowDown", 0),
    ]:  # fmt: skip
        slider.press(key)
        step = night.steps[place]
        assert shown(page) == told(step), key
        assert f"{thousands(step.flagged)} flagged" in slider.get_attribute("aria-valuetext")


def test_all_places_of_the_slider_show_what_python_computed(page, night):
    seen = page.evaluate(
        """count => {
            const slider = document.getElementById("slider");
            const press = (key) => slider.dispatchEvent(new KeyboardEvent("keydown", { key }));
            press("Home");
            return Array.from({ length: count }, () => {
                const cells = [...document.querySelectorAll("td[id^=trial-]")];
                const texts = cells.map((one) => [one.id.slice(6), one.textContent.trim()]);
                const command = document.getElementById("threshold-command").textContent;
                press("ArrowRight");
                return [Object.fromEntries(texts), command];
            });
        }""",
        len(night.steps),
    )
    assert [cells for cells, _ in seen] == [told(step) for step in night.steps]
    values = [command.removeprefix(COMMAND.format(value="")) for _, command in seen]
    assert [float(value) for value in values] == [step.value for step in night.steps]


def test_a_press_on_the_histogram_moves_line_and_counts(page, night):
    axis = score_range(night)
    chart = page.locator("#histogram")
    box = chart.bounding_box()
    for share in (0.25, 0.7):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        value = axis.low + share * (axis.high - axis.low)
        step = min(night.steps, key=lambda one: abs(one.value - value))
        assert shown(page) == told(step)
        line = float(page.locator("#threshold-line").get_attribute("x1").rstrip("%"))
        assert line == pytest.approx(100 * axis.scale.place(step.value), abs=0.01)
        assert page.locator("#above-edge").get_attribute("x") == f"{line:.3f}%"
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 20)
    page.mouse.up()
    assert float(shown(page)["value"]) < step.value


def test_the_command_appears_with_the_value_and_goes_with_it(page, night):
    slider, command = page.get_by_label("Threshold", exact=True), page.locator("#trial-command")
    assert command.is_hidden()
    slider.press("ArrowRight")
    value = night.steps[in_force(night) + 1].value
    assert command.locator("code").inner_text() == COMMAND.format(value=value)
    page.locator("#reset").click()
    assert command.is_hidden()
    assert shown(page) == told(night.steps[in_force(night)])
    assert page.evaluate("document.activeElement.id") == "slider"


def test_without_verdicts_nothing_is_said_of_precision_and_recall(open_page):
    page = open_page(night_page(made.images(3, 6), made=made.MADE))
    assert set(shown(page)) == {"value", "flagged", "alarms"}
