"""What changed since the night before is told with numbers that can be believed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from vae_anomaly.jobs.report.night.previous import changes_since, place_in, reason_kinds
from vae_anomaly.jobs.report.night.source import Night
from vae_anomaly.reports.facts.items import (
    ReviewItem,
    ShownContribution,
    ShownImage,
    ShownRegion,
    ShownRow,
)
from vae_anomaly.reports.facts.night import ScoringFacts


def row_item(name: str, *columns: str, flagged: bool = True) -> ReviewItem:
    contributions = tuple(ShownContribution(column, 3.0, "9") for column in columns)
    row = ShownRow("day.csv", 1, 3.0, contributions)
    return ReviewItem(name, 3.0, 0.001, flagged, ("flagged",), 0.5, row=row)


class _Kept(Night):
    """A night whose items are given, not read."""

    kept: list[ReviewItem]

    def items(self) -> list[ReviewItem]:
        return self.kept


def night(n: int, flagged: int, *, bad: int = 0, items=(), digest: str = "d" * 64) -> Night:
    scoring = ScoringFacts("cards/3", digest, "tabular", {"value": 2.0}, (), 0)
    counts = {
        "rows_in": n + bad, "rows_out": n, "rows_flagged": flagged, "rows_quarantined": bad,
    }  # fmt: skip
    made = _Kept(Path("flags"), ({"key": "day", **counts},), {}, (), scoring)
    object.__setattr__(made, "kept", list(items))
    return made


def test_a_rise_that_chance_does_not_explain_is_told_as_one():
    changes = changes_since(night(1_000, 60), [], night(1_000, 10, bad=20), "Monday")
    assert changes.text.startswith("6.00% flagged, 1.00% before: more than the night before.")
    assert changes.flag_rate.low > changes.flag_rate_before.high
    assert (changes.name, changes.quarantine_rate) == ("Monday", 0.0)
    assert changes.quarantine_rate_before == pytest.approx(20 / 1_020)


def test_an_earlier_night_of_images_is_called_by_its_folders():
    entries = [
        {"key": "night%20one-0000", "kind": "images", "folder": "night one"},
        {"key": "night%20one-0001", "kind": "images", "folder": "night one"},
    ]
    scoring = night(1, 0).scoring
    assert Night(Path("flags"), tuple(entries), {}, (), scoring).parts == "night one"
    entries += [{"key": "b-0000", "kind": "images", "folder": "b"}]
    assert Night(Path("flags"), tuple(entries), {}, (), scoring).parts == "night one to b"
    table = {"key": "2024-05-01", "kind": "table", "folder": "."}
    assert Night(Path("flags"), (table,), {}, (), scoring).parts == "2024-05-01"


def test_chance_is_no_change():
    assert "no clear change" in changes_since(night(300, 4), [], night(300, 2), "x").text


def many(column: str, n: int) -> list[ReviewItem]:
    return [row_item(f"{column} {k}", column, "amount") for k in range(n)]


def test_reasons_that_no_flag_had_before_are_named_with_how_many():
    before = night(300, 20, items=many("amount", 10) + many("hour", 10))
    changes = changes_since(night(300, 20), many("shop", 10) + many("amount", 10), before, "x")
    assert changes.new_reasons == (("shop", 10),)
    assert changes.gone_reasons == (("hour", 10),)
    assert "Not seen before: shop." in changes.text


def test_a_few_flags_of_a_kind_are_chance_and_not_new():
    before = night(300, 10, items=many("amount", 9) + many("hour", 1))
    changes = changes_since(night(300, 10), many("amount", 8) + many("shop", 2), before, "x")
    assert changes.new_reasons == changes.gone_reasons == ()


def test_two_quiet_nights_seldom_differ_in_their_reasons(rng):
    kinds, told = ["amount", "hour", "shop", "age", "city", "bank"], 0
    for _ in range(300):
        drawn = [Counter(rng.choice(kinds, rng.poisson(12)).tolist()) for _ in range(2)]
        now, then = ([one for k, n in c.items() for one in many(k, n)] for c in drawn)
        changes = changes_since(night(900, len(now)), now, night(900, len(then), items=then), "x")
        told += bool(changes.new_reasons)
    assert told <= 6


def test_a_night_without_kept_items_names_no_reason_as_new():
    changes = changes_since(night(300, 1), [row_item("1", "amount")], night(300, 2), "x")
    assert changes.new_reasons == changes.gone_reasons == ()


def test_another_model_is_said_since_rates_are_not_comparable():
    changes = changes_since(night(300, 3), [], night(300, 3, digest="e" * 64), "x")
    assert "rates are not of one model and threshold" in changes.text


def test_items_that_are_not_flagged_have_no_kind():
    assert reason_kinds([row_item("1", "amount", flagged=False)]) == {}


@pytest.mark.parametrize(
    ("box", "share", "said"),
    [
        ((0, 0, 10, 10), 0.01, "upper left"),
        ((45, 45, 55, 55), 0.01, "centre"),
        ((90, 40, 100, 60), 0.02, "middle right"),
        ((40, 95, 60, 100), 0.01, "lower centre"),
        ((0, 0, 100, 90), 0.9, "the whole image"),
    ],
)
def test_the_part_of_an_image_is_called_by_where_it_is_hottest(box, share, said):
    image = ShownImage("", "a.png", 100, 100, "", "", (), (ShownRegion(*box, share, 9.0, 5.0),), 4)
    assert place_in(image) == said
    assert place_in(replace(image, regions=())) == "the whole image"
