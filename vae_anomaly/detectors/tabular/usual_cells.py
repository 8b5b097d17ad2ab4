"""How far the score of a row falls when one of its cells becomes what is usual beside the others.

The cell comes from the remembered normal row that is most alike in all other columns. A wrong
category lies far away in whatever depends on it, in its amount, its number, its hour; yet one cell
makes all of that usual again, and that cell is the cause. What a row is scored by does not matter.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.tabular.encode.table import EncodedTable
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.remembered import RememberedCells

_TRIED: Final = 4  # cells of a row: those that seem to add most
_BLOCK: Final = 1_024  # rows that are compared with normal rows at a time


def falls(examination: TableExamination, parts: Floats) -> Floats:
    """Return how far raw scores fall with each cell made usual, (N, columns), nats, at least 0.

    Tried are the four columns of each row with the largest ``parts``, (N, columns); 0 elsewhere.
    """
    starts = range(0, len(examination), _BLOCK)
    blocks = (np.arange(start, min(start + _BLOCK, len(examination))) for start in starts)
    found = [_falls(examination.take(rows), parts[rows]) for rows in blocks]
    return np.concatenate([np.empty((0, parts.shape[1])), *found])


def _falls(examination: TableExamination, parts: Floats) -> Floats:
    columns = np.argsort(-parts, axis=1, kind="stable")[:, :_TRIED]  # (N, tried)
    rows = np.repeat(np.arange(len(parts)), columns.shape[1])
    tried = columns.ravel()
    changed = examination.take(rows).with_table(_made_usual(examination, rows, tried))
    fallen = np.zeros_like(parts)
    fallen[rows, tried] = examination.raw_score[rows] - changed.raw_score
    return np.maximum(fallen, 0.0)


def _made_usual(examination: TableExamination, rows: Ints, columns: Ints) -> EncodedTable:
    """Return encoded rows, each with one column as in the normal row that is most alike."""
    cells, table = RememberedCells(examination), examination.table.take(rows)
    numbers, codes = table.numbers.copy(), table.codes.copy()
    encoder = examination.model.encoder
    book = dict(zip(encoder.discrete, encoder.codebook(), strict=True))
    for column in np.unique(columns).tolist():
        mine = np.flatnonzero(columns == column)
        apart = cells.squared_apart(rows[mine], column).astype(np.float32)  # equal ones stay equal
        alike = apart.argmin(axis=1)
        for place in np.flatnonzero(cells.in_column(column)).tolist():
            numbers[mine, place] = cells.feature(place, alike)
        if column in book:
            where, values = book[column]
            distance = np.square(numbers[mine, None, where] - values).sum(axis=2)
            codes[mine, encoder.discrete.index(column)] = distance.argmin(axis=1)
    return EncodedTable(numbers, codes, table.missing, table.unseen)
