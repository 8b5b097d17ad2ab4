"""Say what is strange about the time between two columns of a row: a birth and a payment."""

from __future__ import annotations

import numpy as np

from vae_anomaly.arrays import Ints
from vae_anomaly.detectors.tabular.encode.columns import QUANTILES
from vae_anomaly.detectors.tabular.encode.timestamps import DAY_S
from vae_anomaly.detectors.tabular.reasons.lone import Found
from vae_anomaly.detectors.tabular.reasons.wording import duration, duration_range, name_of
from vae_anomaly.detectors.tabular.remembered import RememberedCells


def strange_span(cells: RememberedCells, column: int, rows: Ints) -> list[Found | None]:
    """Say of some rows why the time between one column and another is strange; None where not."""
    pairs = [i for i, pair in enumerate(cells.model.encoder.pairs) if column in pair]
    spans = [_strange_pair(cells, pair, rows) for pair in pairs] or [[None] * len(rows)]
    return [next(filter(None, found), None) for found in zip(*spans, strict=True)]


def _strange_pair(cells: RememberedCells, pair: int, rows: Ints) -> list[Found | None]:
    encoder = cells.model.encoder
    first, second = (name_of(encoder.columns[i].name) for i in encoder.pairs[pair])
    place = len(encoder.features) - len(encoder.pairs) + pair
    least, low, *_, high, most = (np.quantile(cells.feature(place), QUANTILES) * DAY_S).tolist()
    texts = [
        None if least <= span <= most else _span_words(first, second, span, low, high)
        for span in (cells.examination.table.numbers[rows, place] * DAY_S).tolist()
    ]
    subject = frozenset(encoder.pairs[pair])
    return [None if text is None else (subject, text) for text in texts]


def _span_words(first: str, second: str, span_s: float, low_s: float, high_s: float) -> str | None:
    """Say how long one time lies before another; None where the usual reads the same."""
    side, near, far = ("before", low_s, high_s) if span_s >= 0.0 else ("after", -high_s, -low_s)
    words = f"{first} lies {duration(abs(span_s))} {side} {second}"
    if far < 0.0:
        return f"{words}, usual is the other way round"
    near = max(near, 0.0)
    if duration(abs(span_s)) in (duration(near), duration(far)):
        return None
    usual = duration_range(near, far) if far > 0.0 else "the same time"
    return f"{words}, usual is {usual}"
