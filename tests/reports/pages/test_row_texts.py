import json
from dataclasses import asdict, replace

import pytest
from reports.pages import made

from vae_anomaly.reports.facts.items import ShownContribution, ShownPast
from vae_anomaly.reports.pages.row_texts import LONGEST_TEXT, shrink_rows


@pytest.fixture
def wide():
    """100 rows of a table with 300 columns."""
    cells = tuple((f"column_{k}", f"value {k}") for k in range(300))
    items = made.rows(100, 100).items[:100]
    return [replace(one, row=replace(one.row, cells=cells)) for one in items]


def size(items):
    rows = (json.dumps(asdict(one.row), ensure_ascii=False, separators=(",", ":")) for one in items)
    return sum(map(len, rows))


def test_rows_that_fit_stay_as_they_are():
    items = made.rows(20, 100).items
    assert shrink_rows(items) == items


def test_cells_of_the_last_rows_go_first(wide):
    shrunk = shrink_rows(wide, 400_000)
    assert size(shrunk) <= 400_000 < size(wide)
    have = [bool(one.row.cells) for one in shrunk]
    assert have[0]
    assert not have[-1]
    assert have == sorted(have, reverse=True)
    assert shrunk[-1].row.contributions == wide[-1].row.contributions
    assert [one.row.left_out for one in shrunk] == [() if cells else ("cells",) for cells in have]


def test_a_row_that_loses_only_its_past_says_so(wide):
    past = (ShownPast("card 7", "amount", tuple(float(k) for k in range(20)), 3.0),)
    items = [replace(one, row=replace(one.row, cells=(), past=past)) for one in wide]
    shrunk = shrink_rows(items, size(items) - 100)
    assert (shrunk[-1].row.past, shrunk[-1].row.left_out) == ((), ("past",))
    assert (shrunk[0].row.past, shrunk[0].row.left_out) == (past, ())


def test_contributions_still_sum_to_the_score_where_some_are_left_out(wide):
    many = tuple(ShownContribution(f"c{k}", 1.0 / (k + 1), "x" * 200) for k in range(12))
    items = [
        replace(one, row=replace(one.row, contributions=many, rest=0.5, explained=0.0))
        for one in wide
    ]
    row = shrink_rows(items, 100_000)[-1].row
    assert [one.column for one in row.contributions] == ["c0", "c1", "c2"]
    total = sum(one.nats for one in row.contributions) + row.rest
    assert total == pytest.approx(0.5 + sum(one.nats for one in many))


def test_a_long_cell_is_cut_with_a_sign_of_it():
    item = made.rows(1, 1).items[0]
    long = replace(item, row=replace(item.row, cells=(("note", "y" * 4000),)))
    ((_, cell),) = shrink_rows([long])[0].row.cells
    assert cell == "y" * LONGEST_TEXT + " …"


def test_images_pass_as_they_are():
    images = made.images(2, 2).items
    assert shrink_rows(images) == images
