"""Check the numbers of a table: can they be read for certain, and do all stand for a quantity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats
from vae_anomaly.data.doctor.report import Finding, Severity, finding
from vae_anomaly.data.tables import cells
from vae_anomaly.data.tables.kinds import Column, ColumnKind, option
from vae_anomaly.data.tables.schema import Schema

_MIXED_DISTINCT: Final = 20  # texts; fewer are groups, some of which happen to be numbers
_MIXED_SHARE: Final = 0.5
_SPIKE_CELLS, _SPIKE_SHARE = 5, 0.002
_MIN_DISTINCT: Final = 20  # other values, of a quantity that is measured
_USUAL: Final = frozenset({-1.0, 0.0})
_IQRS_USUAL, _IQRS_ANY = 1.0, 4.0  # how far from the rest, in their interquartile ranges


def unclear_numbers(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report columns of numbers that are not read before a person says how."""
    mixed, unclear = [], []
    for column in schema.columns:
        share = _share_of_numbers(column, frame[column.name])
        if share:
            mixed.append(
                f"{column.name}: {share:.1%} numbers" + f"; {column.doubt}" * bool(column.doubt)
            )
        elif column.doubt:
            unclear.append(column.doubt)
    if mixed:
        yield finding(
            Severity.WARNING,
            "mixed_types",
            f"Columns that hold numbers and text, not read as numbers: {len(mixed)}.",
            "Say with --missing which words mean nothing, or declare the column numeric: the text "
            "cells are then named one by one.",
            mixed,
        )
    if unclear:
        yield finding(
            Severity.WARNING,
            "unclear_numbers",
            f"Columns that can be read in several ways, or are not read yet: {len(unclear)}.",
            "Give `train table` the option that is right for each, and check again with it.",
            unclear,
        )


def sentinels(schema: Schema, frame: pd.DataFrame) -> Iterator[Finding]:
    """Report numbers that may stand for a missing cell: one value, often, far from all others."""
    found = []
    for column in schema.features:
        if column.kind is ColumnKind.NUMERIC:
            values = column.numbers_in(frame[column.name])
            found += [
                f"{column.name}: {value:.12g} in {share:.1%} of the cells, "
                + option("--missing", column.name, f"{value:.12g}")
                for value, share in _spikes(values[~np.isnan(values)])
            ]
    if found:
        yield finding(
            Severity.WARNING,
            "sentinels",
            f"Numbers that repeat far from all others, as if a cell were missing: {len(found)}.",
            "If they stand for missing cells, give `train table` the option beside each.",
            found,
        )


def _share_of_numbers(column: Column, series: pd.Series) -> float:
    """Return the share of numbers of a text column that holds both; 0 of any other."""
    if column.kind not in {ColumnKind.CATEGORICAL, ColumnKind.IDENTIFIER}:
        return 0.0
    counts = cells.text_counts(cells.without_words(series, column.missing))
    numbers = sum(n for text, n in counts.items() if cells.is_number_text(text))
    share = numbers / max(1, sum(counts.values()))
    is_mixed = _MIXED_SHARE < share < 1 and len(counts) > _MIXED_DISTINCT
    return share if is_mixed and (column.doubt or column.kind is ColumnKind.CATEGORICAL) else 0.0


def _spikes(values: Floats) -> Iterator[tuple[float, float]]:
    """Yield the least and the greatest value, with its share, where it is a sentinel."""
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size <= _MIN_DISTINCT:
        return
    for place, step in ((0, 1), (-1, -1)):
        value, n = float(distinct[place]), int(counts[place])
        if n < max(_SPIKE_CELLS, _SPIKE_SHARE * values.size):
            continue
        others = values[values != value]
        low, high = np.quantile(others, [0.25, 0.75])
        gap = abs(float(distinct[place + step]) - value)
        if gap > (_IQRS_USUAL if _is_usual(value) else _IQRS_ANY) * (high - low):
            yield value, n / values.size


def _is_usual(value: float) -> bool:
    """Tell whether a number is one that people write for nothing: 0, -1, nines such as -999."""
    return value in _USUAL or (value.is_integer() and set(f"{abs(value):.0f}") == {"9"})
