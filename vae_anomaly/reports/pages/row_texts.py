"""Rows of a page, small enough together: of wide tables, the first ones keep their cells."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from vae_anomaly.reports.facts.items import ReviewItem, ShownContribution, ShownRow

ROW_BUDGET: Final = 1_100_000
"""Bytes of JSON that all rows of a page take together."""

LONGEST_TEXT: Final = 500
"""Characters of a cell that a page shows."""

_FEWEST_CONTRIBUTIONS: Final = 3


def shrink_rows(items: Sequence[ReviewItem], budget: int = ROW_BUDGET) -> tuple[ReviewItem, ...]:
    """Shorten rows, so that they take no more than a budget together.

    Long cells are cut, with a sign of it. Where that is not enough, the cells of the last rows are
    left out, then their past, then their smaller contributions: what is nearest to the top stays.

    Parameters
    ----------
    items : sequence of ReviewItem
        In the order of the page.
    budget : int, bytes
    """
    rows = {place: _cut(item.row) for place, item in enumerate(items) if item.row is not None}
    over = sum(map(_size, rows.values())) - budget
    for lessen in (_without_cells, _without_past, _with_fewest):
        for place in reversed(rows):
            if over <= 0:
                break
            before = _size(rows[place])
            rows[place] = lessen(rows[place])
            over -= before - _size(rows[place])
    return tuple(replace(item, row=rows.get(place)) for place, item in enumerate(items))


def _without_cells(row: ShownRow) -> ShownRow:
    return replace(row, cells=(), left_out=(*row.left_out, "cells")) if row.cells else row


def _without_past(row: ShownRow) -> ShownRow:
    return replace(row, past=(), left_out=(*row.left_out, "past")) if row.past else row


def _with_fewest(row: ShownRow) -> ShownRow:
    """Keep the largest contributions; what is left out goes to the rest, so that they still sum."""
    kept, others = (
        row.contributions[:_FEWEST_CONTRIBUTIONS],
        row.contributions[_FEWEST_CONTRIBUTIONS:],
    )
    return replace(row, contributions=kept, rest=row.rest + sum(one.nats for one in others))


def _cut(row: ShownRow) -> ShownRow:
    """Shorten long texts."""
    return replace(
        row,
        cells=tuple((name, _shorter(cell)) for name, cell in row.cells),
        contributions=tuple(map(_cut_contribution, row.contributions)),
    )


def _cut_contribution(one: ShownContribution) -> ShownContribution:
    return replace(
        one,
        value=_shorter(one.value),
        expected=_shorter(one.expected),
        typical=_shorter(one.typical),
    )


def _shorter(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"


def _size(row: ShownRow) -> int:
    """Return the bytes of a row in the page, where a sign of HTML takes six."""
    text = json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "replace")) + 5 * sum(map(text.count, "<>&"))
