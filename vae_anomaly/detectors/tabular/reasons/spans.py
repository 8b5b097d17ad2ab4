"""Say what is strange about the time between two columns of a row: a birth and a payment."""

from __future__ import annotations

import numpy as np

from vae_anomaly.arrays import Ints
from vae_anomaly.detectors.tabular.encode.columns import QUANTILES
from vae_anomaly.detectors.tabular.encode.timestamps import DAY_S
from vae_anomaly.detectors.tabular.reasons.remembered import Found, RememberedCells
from vae_anomaly.detectors.tabular.reasons.wording import Scale, duration, name_of

_UNITS = ((730.0, 365.25, "years"), (2.0, 1.0, "days"), (0.0, 1.0 / 24.0, "hours"))  # from days
_ONE_DECIMAL = 1
_COARSER = 4.0  # than other numbers: years are said without decimals


def strange_span(cells: RememberedCells, column: int, rows: Ints) -> list[Found | None]:
    """Say of some rows why the time between one column and another is strange; None where not."""
    pairs = [i for i, pair in enumerate(cells.model.encoder.pairs) if column in pair]
    spans = [_strange_pair(cells, pair, rows) for pair in pairs] or [[None] * len(rows)]
    return [next(filter(None, found), None) for found in zip(*spans, strict=True)]


def _strange_pair(cells: RememberedCells, pair: int, rows: Ints) -> list[Found | None]:
    encoder = cells.model.encoder
    first, second = (name_of(encoder.columns[i].name) for i in encoder.pairs[pair])
    place = len(encoder.features) - len(encoder.pairs) + pair
    lowest, low, *_, high, highest = np.quantile(cells.feature(place), QUANTILES).tolist()
    subject = frozenset(encoder.pairs[pair])
    return [
        None
        if lowest <= days <= highest
        else (subject, _span_words(first, second, days, low, high))
        for days in cells.examination.table.numbers[rows, place].tolist()
    ]


def _span_words(first: str, second: str, days: float, low: float, high: float) -> str:
    side = "before" if days >= 0.0 else "after"
    size, (near, far) = abs(days), (low, high) if days >= 0.0 else (-high, -low)
    if far < 0.0:
        words = f"{first} lies {duration(size * DAY_S)} {side} {second}"
        return f"{words}, usual is the other way round"
    _, unit, noun = next(u for u in _UNITS if max(size, far) >= u[0])
    near, far, size = max(near, 0.0) / unit, far / unit, size / unit
    number = Scale(_COARSER * (far - near), _ONE_DECIMAL).number(size, near, far)
    usual = Scale(far - near, _ONE_DECIMAL).between(near, far, size)
    return f"{first} lies {number} {noun} {side} {second}, usual is {usual} {noun}"
