"""Say what is strange about a cell beside another cell of its row.

Such as ``euro 900, usual with shop 'bakery' is 2 to 60``.

The remembered normal rows are grouped by the other column. A number is strange in its group where
it lies beyond all of them, and outside of their usual range by half of its width, and much further
than outside of that of all rows; a value of few is, where it never occurs there though ten times
would be expected, were the columns independent. Of all other columns the one is named beside which
the cell stands out most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.tabular.encode.columns import NumericColumn
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.reasons.expected import UsualRange
from vae_anomaly.detectors.tabular.reasons.lone import (
    MUCH_FURTHER,
    Found,
    excess_over,
    excess_over_usual,
    name_cell,
    scale_of,
)
from vae_anomaly.detectors.tabular.reasons.wording import name_of
from vae_anomaly.detectors.tabular.remembered import (
    HOURS_OF_PART,
    Groups,
    RememberedCells,
)

_FEWEST = 50  # remembered rows of a group
_FAR = 0.5  # widths of the group's usual range, beyond it
_NARROWEST = 0.02  # width of a group's usual range, in that of the column
_EXPECTED = 10.0  # rows, were two columns independent


@dataclass(frozen=True)
class _Within:
    """What a number usually is within each group, each of shape (groups,)."""

    n: Ints
    least: Floats
    low: Floats
    high: Floats
    most: Floats

    @classmethod
    def of(cls, ascending: Floats, groups: Ints, n_groups: int) -> _Within:
        """Sort numbers by their groups, which come in the order of the numbers."""
        ordered = ascending[np.argsort(groups.astype(np.int16), kind="stable")]  # of few bits: fast
        n = np.bincount(groups, minlength=n_groups)
        first = np.cumsum(n) - n
        at = [first + np.round(q * (n - 1)).astype(np.int64) for q in (0.0, 0.05, 0.95, 1.0)]
        return cls(n, *(ordered[place.clip(0, len(ordered) - 1)] for place in at))


@dataclass(frozen=True)
class _Finding:
    """How far cells stand out beside one other column, and how that is said."""

    strength: Floats  # (N,), 0 where they do not
    say: Callable[[int], str]  # of a row


def strange_beside(cells: RememberedCells, column: int, rows: Ints) -> list[Found | None]:
    """Say of some rows why a number or category is strange beside another cell; else None."""
    find = _rarely_together if cells.model.encoder.columns[column].n_codes else _far_out
    others = _others(cells, column)
    found = [find(cells, column, other, groups) for other, groups in others]
    if not found:
        return [None] * len(rows)
    best = np.argmax([finding.strength for finding in found], axis=0)
    return [
        (frozenset((column, others[best[row]][0])), found[best[row]].say(row))
        if found[best[row]].strength[row] > 0.0
        else None
        for row in rows.tolist()
    ]


def _others(cells: RememberedCells, column: int) -> list[tuple[int, Groups]]:
    """Return the columns that a cell is compared within: the condition alone where there is one."""
    model = cells.model
    of_entities = () if model.entities is None else model.entities.names
    names = model.encoder.names
    others = cells.related(column) if model.condition is None else [model.condition]
    grouped = [(i, cells.groups(i)) for i in others if i != column and names[i] not in of_entities]
    return [(i, groups) for i, groups in grouped if groups is not None]


def _far_out(cells: RememberedCells, column: int, other: int, groups: Groups) -> _Finding:
    """Find numbers that lie far outside of their usual range in the group of another column."""
    described = cells.model.encoder.columns[column]
    assert isinstance(described, NumericColumn)  # noqa: S101 - it is continuous
    order, ascending = cells.ascending(column)
    within = _Within.of(ascending, groups.remembered[order], groups.n)
    n, least, low, high, most = (part[groups.asked] for part in vars(within).values())
    value, scale = cells.asked_numbers(column), scale_of(described)
    beyond = (n >= _FEWEST) & ((value < least) | (value > most))
    excess = excess_over(low, high, value, _NARROWEST * scale.width)
    least_excess = np.maximum(_FAR, MUCH_FURTHER * excess_over_usual(described, value))
    strength = np.where(beyond & (excess > least_excess), excess, 0.0)

    def say(row: int) -> str:
        usual = scale.between(float(low[row]), float(high[row]), float(value[row]))
        here = scale.number(float(value[row]), float(low[row]), float(high[row]))
        where = _where(cells, other, row)
        return f"{name_of(described.name)} {here}, usual {where} is {usual}"

    return _Finding(strength, say)


def range_beside(cells: RememberedCells, column: int, rows: Ints) -> UsualRange | None:
    """Return what is usual of a number in the group of the column that has most to do with it."""
    others = _others(cells, column)
    if not others:
        return None
    other, groups = others[0]
    order, ascending = cells.ascending(column)
    within = _Within.of(ascending, groups.remembered[order], groups.n)
    mine = groups.asked[rows]
    few = within.n[mine] < _FEWEST
    low = np.where(few, -np.inf, within.low[mine])
    high = np.where(few, np.inf, within.high[mine])
    return UsualRange(f"usual with {cells.model.encoder.names[other]} is", low, high, high - low)


def _rarely_together(cells: RememberedCells, column: int, other: int, groups: Groups) -> _Finding:
    """Find values that never occur in the group of another column, though both are frequent."""
    mine = cells.groups(column)
    assert mine is not None  # noqa: S101 - it has codes
    counts = np.zeros((mine.n, groups.n))
    np.add.at(counts, (mine.remembered, groups.remembered), 1.0)
    expected = counts.sum(axis=1)[mine.asked] * counts.sum(axis=0)[groups.asked] / counts.sum()
    never = counts[mine.asked, groups.asked] == 0.0

    def say(row: int) -> str:
        return f"{_cell(cells, column, row)}, hardly ever seen {_where(cells, other, row)}"

    return _Finding(np.where(never & (expected >= _EXPECTED), expected, 0.0), say)


def _where(cells: RememberedCells, other: int, row: int) -> str:
    """Name the group of another column that a row lies in: ``with shop 'bakery'``."""
    described = cells.model.encoder.columns[other]
    if not isinstance(described, TimestampColumn):
        return f"with {_cell(cells, other, row)}"
    time = cells.examination.frame[described.name].iloc[row]
    start = time.hour // HOURS_OF_PART * HOURS_OF_PART
    return f"between {start:02d}:00 and {start + HOURS_OF_PART:02d}:00"


def _cell(cells: RememberedCells, column: int, row: int) -> str:
    described = cells.model.encoder.columns[column]
    return name_cell(described, cells.examination.frame[described.name].iloc[row])
