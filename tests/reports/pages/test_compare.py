"""A comparison says who changed sides, draws ranks, and leaves what names hold as text."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.facts.compare import (
    ComparedItem,
    ComparedRun,
    CompareFacts,
    Overlap,
    RankMap,
)
from vae_anomaly.reports.pages.compare import compare_page
from vae_anomaly.thresholds.compare import Sides

HOSTILE = "<script>alert(1)</script> \"'& עברית 🙂 " + "x" * 300


def facts(**changes):
    a = ComparedRun("mon", ("cards/1",), (2.0,), 1000, 12)
    b = ComparedRun("tue", ("cards/2",), (1.9,), 1000, 11)
    items = tuple(
        ComparedItem(f"t{i}", 3.0 - i, 1.0, i + 1, 40 + i, reasons_a=("amount is 4,120",))
        for i in range(2)
    )
    ranks = RankMap((1.0, 10.0, 1001.0), ((0, 0, 9), (1, 1, 991)), ((1, 40, 1), (2, 1, 3)), True)
    plain = CompareFacts(
        a, b, "tabular", 1000, Sides(10, 2, 1, 987), Interval(0.91, 0.89, 0.93),
        (Overlap(10, 7, 0.1),), ranks, items, (),
    )  # fmt: skip
    return replace(plain, **changes)


def written(image: Image.Image) -> str:
    held = io.BytesIO()
    image.save(held, "WEBP", quality=80)
    return base64.b64encode(held.getvalue()).decode()


def test_the_first_line_is_how_many_changed_sides():
    page = compare_page(facts())
    assert ">3 of 1,000 rows changed sides</h1>" in page
    assert "A flags 12 (1.2%), B 11 (1.1%). Of the 13 rows that either flags" in page
    assert "0.910 (0.890 to 0.930)" in page


def test_what_agrees_says_so():
    page = compare_page(facts(sides=Sides(10, 0, 0, 990), moved_a=(), moved_b=()))
    assert "No row changed sides</h1>" in page
    assert "A flags no row that B does not flag." in page


def test_a_list_says_what_it_leaves_out():
    page = compare_page(facts(sides=Sides(10, 5000, 0, 4990)))
    assert "the 2 with the highest scores in A. 4,998 more rows with lower scores are not" in page


def test_what_only_one_side_has_is_named():
    run = replace(facts().a, n_alone=3, flagged_alone=1, examples_alone=("x1", "x2", "x3"))
    assert "3 rows are only in A (1 flagged), for example x1, x2, x3." in compare_page(facts(a=run))


def test_every_item_that_changed_sides_is_a_mark_of_its_own():
    page = compare_page(facts())
    assert page.count('href="#mark-only-a"') == page.count('href="#mark-both"') == 1
    assert "ranks__cell--" not in re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    many = compare_page(facts(ranks=replace(facts().ranks, is_complete=False)))
    assert many.count('class="ranks__cell ') == 2


def test_without_a_correlation_the_page_says_why():
    none = Interval(np.nan, -1.0, 1.0)
    assert "all scores of a side are equal" in compare_page(facts(correlation=none))


@pytest.mark.parametrize("side", ["a", "b"])
def test_names_and_reasons_stay_text(side):
    item = replace(facts().moved_a[0], id=HOSTILE, reasons_a=(HOSTILE,))
    run = replace(getattr(facts(), side), name=HOSTILE, models=(HOSTILE,))
    page = compare_page(facts(**{side: run, "moved_a": (item,)}))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_images_are_shown_small_however_many_changed_sides():
    noise = np.random.default_rng(0).integers(0, 255, (384, 384, 3), np.uint8)
    kept = written(Image.fromarray(noise))
    items = tuple(replace(facts().moved_a[0], id=f"t{i}", thumbnail=kept) for i in range(60))
    page = compare_page(facts(moved_a=items, kind="image"))
    assert page.count('class="moved__image"') == 60
    assert len(kept) * 60 > 4_000_000 > 2_000_000 > len(page)


def test_an_image_that_no_run_kept_says_so():
    seen, unseen = (replace(facts().moved_a[0], id=name) for name in ("t1", "t2"))
    seen = replace(seen, thumbnail=written(Image.new("RGB", (8, 8))))
    page = compare_page(facts(moved_a=(seen, unseen), moved_b=(), kind="image"))
    assert page.count("no image kept") == 1
    assert "Of 1 image no copy was kept" in page
    assert "no image kept" not in compare_page(facts())


def test_a_list_stays_a_table_where_styles_make_blocks_of_its_rows():
    page = compare_page(facts())
    moved = page[page.index('<table class="moved"') :]
    for role, count in (("columnheader", 6), ("rowheader", 2), ("cell", 10), ("row", 3)):
        assert moved.count(f' role="{role}"') == count
