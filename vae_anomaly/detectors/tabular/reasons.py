"""Say in words what is unusual about a cell: its value, and what would be usual.

A value outside the middle 90 % of the training cells is told with that range. A value that is usual
by itself is compared with what the VAE expects from the other columns: the column is hidden from
the encoder and the decoder predicts it. Where that is too wide to tell, it is compared with the
cells of the 20 normal rows that are most alike in all other columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import Floats
from vae_anomaly.detectors.tabular.encode.columns import (
    MISSING,
    CategoricalColumn,
    ColumnEncoder,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.encode.timestamps import TimestampColumn
from vae_anomaly.detectors.tabular.entity_reasons import entity_phrases
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.explain import contributions

MIDDLE_90 = 1.645  # standard deviations either side
RARE = 0.05
UNLIKELY = 0.1
ALIKE = 20  # normal rows that a row is compared with
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Expectation:
    """What the other columns of each row let one expect of a column."""

    low: Floats | None = None  # (N,), of the middle 90 % of a number
    high: Floats | None = None
    probability: Floats | None = None  # (N, codes), of each code of a discrete column
    alike: Floats | None = None  # (N, 20), its cells in the rows that are most alike: `look_alike`


def reasons(examination: TableExamination, top: int = 3) -> list[list[str]]:
    """Return the reasons of each row, at most ``top``, the column that adds most first.

    A column that adds nothing gives no reason; one of an entity's history has words of its own.
    """
    if len(examination) == 0:
        return []
    parts, model = contributions(examination), examination.model
    phrases = {} if model.entities is None else entity_phrases(model.entities)
    order = np.argsort(-parts, axis=1, kind="stable")[:, :top]
    texts: dict[tuple[int, int], str] = {}
    for column in np.unique(order):
        rows = np.flatnonzero((order == column).any(axis=1) & (parts[:, column] > 0.0))
        phrase = phrases.get(model.encoder.columns[column].name)
        words = (
            _cell_reasons(examination.take(rows), int(column))
            if phrase is None
            else [phrase(examination.frame.iloc[row]) for row in rows]
        )
        texts |= {(int(row), int(column)): text for row, text in zip(rows, words, strict=True)}
    return [
        [texts[row, int(column)] for column in columns if (row, int(column)) in texts]
        for row, columns in enumerate(order)
    ]


def _cell_reasons(examination: TableExamination, column: int) -> list[str]:
    """Say of each row what is unusual about one column."""
    encoder = examination.model.encoder
    described, discrete = encoder.columns[column], encoder.discrete
    expected = replace(expect_column(examination, column), alike=look_alike(examination, column))
    codes = np.zeros(len(examination), dtype=np.int64)
    if column in discrete:
        codes = examination.table.codes[:, discrete.index(column)]
    return [
        _describe(described, cell, int(codes[i]), _row_of(expected, i))
        for i, cell in enumerate(examination.frame[described.name])
    ]


@torch.inference_mode()
def expect_column(examination: TableExamination, column: int) -> Expectation:
    """Hide one column, by its number, from the encoder and let the decoder predict it."""
    main, encoder = examination.main.model, examination.model.encoder
    network, layout = main.network, main.network.layout
    if not network.predicts_hidden:
        return Expectation()
    in_column = torch.from_numpy(encoder.ownership()[:, column] > 0.0)
    shown = examination.main.viewed
    viewed = torch.from_numpy(shown)
    params = network.decode(network.encode(viewed, in_column)[0], viewed)
    if layout.classes and column in encoder.discrete:
        place = encoder.discrete.index(column)
        start = sum(layout.classes[:place])
        p = network.probabilities(params)[:, start : start + layout.classes[place]]
        return Expectation(probability=p.double().numpy())
    feature = int(torch.nonzero(in_column)[0])
    if feature not in layout.gaussian:
        return Expectation()
    target = layout.gaussian.index(feature)
    center = params[:, target].double().numpy()
    width = MIDDLE_90 * float(network.sigma()[target])
    low = main.invert(feature, center - width, shown)
    return Expectation(low=low, high=main.invert(feature, center + width, shown))


def look_alike(examination: TableExamination, column: int) -> Floats:
    """Return a column's cells in the normal rows that are most alike in all other columns.

    Numbers, or those of the levels of a categorical column, (N, at most 20).
    """
    main, encoder = examination.main.model, examination.model.encoder
    in_column = encoder.ownership()[:, column] > 0.0
    exemplars = main.data.vectors.astype(np.float64)
    rows = examination.main.viewed
    rest, others = rows[:, ~in_column].astype(np.float64), exemplars[:, ~in_column]
    squared = np.square(others).sum(axis=1) - 2.0 * rest @ others.T  # less a constant of each row
    if main.condition is not None and column != examination.model.condition:
        same = main.condition.codes(rows)[:, None] == main.condition.codes(main.data.vectors)
        squared[~same & same.any(axis=1, keepdims=True)] = np.inf
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :ALIKE]
    places = np.flatnonzero(in_column)
    if isinstance(encoder.columns[column], CategoricalColumn):
        n_codes = encoder.columns[column].n_codes
        levels = exemplars[:, places[:n_codes]].argmax(axis=1)
        return np.asarray(levels[nearest], dtype=np.float64)
    cells = main.invert(int(places[0]), exemplars[:, places[0]], main.data.vectors)
    return np.asarray(cells[nearest])


def _row_of(expected: Expectation, row: int) -> Expectation:
    pick = slice(row, row + 1)
    return Expectation(*(None if part is None else part[pick] for part in vars(expected).values()))


def _describe(encoder: ColumnEncoder, cell: object, code: int, expected: Expectation) -> str:
    if isinstance(encoder, CategoricalColumn):
        return _describe_category(encoder, cell, code, expected)
    if pd.isna(cell):  # type: ignore[call-overload]  # a scalar
        return _describe_gap(encoder)
    if isinstance(encoder, TimestampColumn):
        return _describe_time(encoder, pd.Timestamp(cell))  # type: ignore[arg-type]  # a datetime
    assert isinstance(encoder, NumericColumn)  # noqa: S101 - there are three kinds
    return _describe_number(encoder, float(cell), code, expected)  # type: ignore[arg-type]  # a float


def _describe_gap(encoder: ColumnEncoder) -> str:
    share = float(getattr(encoder, "gap_share", 0.0))
    usual = f"as in {_percent(share)} of training rows" if share else "which training never had"
    return f"{encoder.name} is missing, {usual}"


def _describe_number(encoder: NumericColumn, value: float, code: int, expected: Expectation) -> str:
    words = f"{encoder.name} {_number(value)}"
    low, high = encoder.quantiles[1], encoder.quantiles[-2]
    if encoder.levels and code < len(encoder.levels) and encoder.shares[code] < RARE:
        return f"{words}, as in {_percent(encoder.shares[code])} of training rows"
    if encoder.levels and code >= len(encoder.levels):
        return f"{words} where training had only {_levels(encoder.levels)}"
    if not low <= value <= high:
        return f"{words} where {_range(low, high)} is typical"
    if expected.probability is not None:
        names = [_number(v) for v in encoder.levels]
        instead = _expected_code(names, code, expected.probability[0])
        if instead:
            return f"{words}{instead}"
    if expected.low is not None and expected.high is not None:
        near, far = _bounds(encoder, expected.low[0], expected.high[0])
        if not near <= value <= far:
            return f"{words} where {_range(near, far)} is expected from the other columns"
    if expected.alike is not None:
        near, far = _bounds(encoder, expected.alike.min(), expected.alike.max())
        if not near <= value <= far:
            return f"{words} where similar rows have {_range(near, far)}"
    return f"{words}, unusual in this combination"


def _bounds(encoder: NumericColumn, low: float, high: float) -> tuple[float, float]:
    """Return bounds read back from float32: whole where the column is, else a little wider."""
    if encoder.integer:
        return float(np.floor(low + 1e-3)), float(np.ceil(high - 1e-3))
    slack = 1e-3 * (high - low) + 1e-6 * max(abs(low), abs(high))
    return float(low - slack), float(high + slack)


def _describe_category(
    encoder: CategoricalColumn, cell: object, code: int, expected: Expectation
) -> str:
    missing = cell is None or bool(pd.isna(cell))  # type: ignore[call-overload]  # a scalar
    value = MISSING if missing else str(cell)
    words = f"{encoder.name} is missing" if missing else f"{encoder.name} {value!r}"
    count = encoder.counts.get(value, 0)
    if count == 0:
        return (
            f"{words}, which training never had" if missing else f"{words} never seen in training"
        )
    if count < RARE * encoder.n:
        return f"{words}, as in {_percent(count / encoder.n)} of training rows"
    names = [repr(level) for level in encoder.levels]
    instead = (
        "" if expected.probability is None else _expected_code(names, code, expected.probability[0])
    )
    if not instead and expected.alike is not None:
        counts = np.bincount(expected.alike[0].astype(np.int64), minlength=encoder.n_codes)
        if counts[code] == 0 and counts.argmax() < len(names):
            instead = f" where similar rows have {names[int(counts.argmax())]}"
    return f"{words}{instead or ', unusual in this combination'}"


def _expected_code(names: list[str], code: int, probability: Floats) -> str:
    """Name the code that the other columns let one expect, if it is another one; else nothing."""
    p = probability[: len(names)]
    best = int(np.argmax(p))
    if code >= len(names) or best == code or p[code] >= UNLIKELY:
        return ""
    return f" where {names[best]} is expected from the other columns"


def _describe_time(encoder: TimestampColumn, moment: pd.Timestamp) -> str:
    day, hour = moment.weekday(), moment.hour
    words = f"{encoder.name} {_DAYS[day]}" + (f" {moment:%H:%M}" if encoder.clock else "")
    if encoder.clock and encoder.hours[hour] < RARE / 2:
        return f"{words}, an hour with {_percent(encoder.hours[hour])} of training rows"
    if encoder.weekdays[day] < RARE:
        return f"{words}, a day with {_percent(encoder.weekdays[day])} of training rows"
    return f"{words}, unusual in this combination"


def _number(value: float) -> str:
    """Write a number for people: 4,310; 0.0123; 12.5."""
    if value == round(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:,.4g}"


def _range(low: float, high: float) -> str:
    if low == high:
        return _number(low)
    return f"{_number(low)}{' to ' if low < 0 else '-'}{_number(high)}"


def _levels(levels: tuple[float, ...]) -> str:
    shown = ", ".join(_number(level) for level in levels[:4])
    return f"{shown}, ..." if len(levels) > 4 else shown


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
