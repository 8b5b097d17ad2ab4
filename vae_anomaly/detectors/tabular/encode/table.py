"""A table as numbers: encoded features, category codes, and which column owns which feature.

==============  ====================================================================================
column          features
==============  ====================================================================================
numeric,        the number; where training had gaps in at least 1 % of rows, an indicator
boolean
categorical     one-hot over the 32 most frequent values, ``other`` and ``unseen``, each 1 / sqrt(2)
                so that two different values lie 1 apart; the surprisal -log(frequency)
timestamp       sine and cosine of the hour (where there are hours) and of the weekday, as far as
                `Column.parts` lets; whether it is open-ended where training had such dates
two timestamps  the difference in days, unless it only counts on from one date that all rows share
==============  ====================================================================================

A missing number is filled with the training median, a missing category is a category of its own.
Beside the features come the *codes* of columns with few distinct values, for categorical
likelihoods; the last code of each column stands for "never seen in training".

Statistics are those of the rows given to `TableEncoder.fit`. `TableEncoder.refit` takes them from
other rows and keeps the layout: held-out rows are scored by an encoder that never saw them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Self

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints
from vae_anomaly.data.tables.kinds import Column, ColumnKind
from vae_anomaly.detectors.tabular.encode.columns import (
    CategoricalColumn,
    ColumnEncoder,
    Feature,
    NumericColumn,
)
from vae_anomaly.detectors.tabular.encode.timestamps import (
    TimestampColumn,
    days_between,
    is_telling,
)
from vae_anomaly.errors import DataError, NotEnoughDataError
from vae_anomaly.state import Json
from vae_anomaly.words import number_of

logger = logging.getLogger(__name__)

MAX_TIMESTAMP_PAIRS = 6
KINDS: dict[str, type[ColumnEncoder]] = {
    encoder.kind: encoder for encoder in (NumericColumn, CategoricalColumn, TimestampColumn)
}


@dataclass(frozen=True)
class EncodedTable:
    """Rows as numbers."""

    numbers: Floats  # (N, D), none missing
    codes: Ints  # (N, C), of the discrete columns
    missing: Bools  # (N, columns), cells that were empty and have been filled
    unseen: Bools  # (N, columns), cells with a category that training did not have

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.numbers)

    def take(self, rows: AnyArray) -> EncodedTable:
        """Return some rows."""
        return EncodedTable(
            self.numbers[rows], self.codes[rows], self.missing[rows], self.unseen[rows]
        )


class TableEncoder:
    """Encode typed frames, as ``Schema.cast`` returns them.

    ``pairs`` are timestamp columns whose difference is a feature; ``dropped`` are columns that
    carry nothing, with the reason.
    """

    def __init__(
        self,
        columns: Sequence[ColumnEncoder],
        pairs: Sequence[tuple[int, int]] = (),
        dropped: dict[str, str] | None = None,
    ) -> None:
        self.columns = list(columns)
        self.pairs = [(int(a), int(b)) for a, b in pairs]
        self.dropped = dict(dropped or {})
        self.features = self._features()
        self.discrete = tuple(i for i, c in enumerate(self.columns) if c.n_codes > 0)  # have codes

    @classmethod
    def fit(cls, frame: pd.DataFrame, columns: Sequence[Column]) -> Self:
        """Choose the layout and take all statistics from a frame of typed columns.

        No row raises `NotEnoughDataError`; no column that carries anything, or varies, `DataError`.
        """
        if len(frame) == 0:
            raise NotEnoughDataError(
                "A table with 0 rows cannot be encoded. Pass the rows of normal operation."
            )
        fitted, dropped = [], {}
        for column in columns:
            encoder, reason = _fit_column(column, frame[column.name])
            if encoder is None:
                dropped[column.name] = reason
                logger.warning("Column %r is left out: %s.", column.name, reason)
            else:
                fitted.append(encoder)
        if not fitted:
            raise DataError(
                f"None of the {len(columns)} columns carries anything to learn from: {dropped}. "
                "Pass at least one column with values, or override its kind in the schema."
            )
        if all(_is_constant(frame[encoder.name]) for encoder in fitted):
            raise DataError(
                f"Every column is constant in all {number_of(len(frame), 'training row')} "
                f"({', '.join(repr(encoder.name) for encoder in fitted[:5])}): there is nothing to "
                "learn. Pass rows that vary, or more of them."
            )
        pairs = _pairs(frame, columns)
        paired = {name for pair in pairs for name in pair}
        for encoder in [c for c in fitted if not c.features and c.name not in paired]:
            fitted.remove(encoder)
            dropped[encoder.name] = "no part of its times comes again"
        places = {encoder.name: place for place, encoder in enumerate(fitted)}
        return cls(fitted, [(places[a], places[b]) for a, b in pairs], dropped)

    def refit(self, frame: pd.DataFrame) -> TableEncoder:
        """Return an encoder of the same layout with the statistics of other rows."""
        columns = [column.refit(frame[column.name]) for column in self.columns]
        return TableEncoder(columns, self.pairs, self.dropped)

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that the model reads."""
        return tuple(column.name for column in self.columns)

    @property
    def known_values(self) -> dict[str, tuple[str, ...]]:
        """The values that training had of each categorical column, the most frequent first."""
        return {c.name: tuple(c.counts) for c in self.columns if isinstance(c, CategoricalColumn)}

    @property
    def fixed(self) -> Bools:
        """Features of a fixed scale, which no view rescales, shape (D,)."""
        return np.array([feature.fixed for feature in self.features], dtype=np.bool_)

    def ownership(self) -> Floats:
        """Return the share of each feature that belongs to each column, shape (D, columns)."""
        shares = np.zeros((len(self.features), len(self.columns)))
        for row, feature in enumerate(self.features):
            shares[row, list(feature.owners)] = 1.0 / len(feature.owners)
        return shares

    @property
    def code_sizes(self) -> tuple[int, ...]:
        """Number of codes of each discrete column, the one for "never seen" included."""
        return tuple(self.columns[i].n_codes for i in self.discrete)

    def decode(self, values: Floats, codes: Ints) -> pd.DataFrame:
        """Return the table that encoded rows (N, D) stand for.

        Discrete columns are read from the codes (N, C), the others from the values.
        """
        code_of = {column: codes[:, place] for place, column in enumerate(self.discrete)}
        start, cells = 0, {}
        for index, column in enumerate(self.columns):
            width = len(column.features)
            own = code_of.get(index, np.zeros(len(values), dtype=np.int64))
            cells[column.name] = column.decode(values[:, start : start + width], own)
            start += width
        return pd.DataFrame(cells)

    def codebook(self) -> list[tuple[slice, Floats]]:
        """Return, for each discrete column, where its features lie and what each code is there.

        The latter unscaled, of shape (n_codes, width).
        """
        ends = np.cumsum([len(column.features) for column in self.columns])
        starts = ends - [len(column.features) for column in self.columns]
        return [
            (slice(int(starts[i]), int(ends[i])), self.columns[i].code_values())
            for i in self.discrete
        ]

    def transform(self, frame: pd.DataFrame) -> EncodedTable:
        """Encode rows, those of `fit` and new ones alike.

        A category's surprisal counts the training row itself. Leaving it out, as one would for an
        unbiased rate, puts training and new rows on two different grids of values: where neighbours
        are searched for, every new row then looks strange.
        """
        parts = [c.encode(frame[c.name]) for c in self.columns]
        differences = [self._difference(frame, pair) for pair in self.pairs]
        blocks = [*(part.numbers for part in parts), *differences]
        codes = [parts[i].codes for i in self.discrete]
        return EncodedTable(
            numbers=np.concatenate(blocks, axis=1),
            codes=np.stack(codes, axis=1) if codes else np.empty((len(frame), 0), dtype=np.int64),
            missing=np.stack([part.missing for part in parts], axis=1),
            unseen=np.stack([part.unseen for part in parts], axis=1),
        )

    def _difference(self, frame: pd.DataFrame, pair: tuple[int, int]) -> Floats:
        first, second = (self.columns[i] for i in pair)
        assert isinstance(first, TimestampColumn)  # noqa: S101 - pairs are made of nothing else
        assert isinstance(second, TimestampColumn)  # noqa: S101 - likewise
        return days_between(frame, first, second)[:, None]

    def _features(self) -> tuple[Feature, ...]:
        own = [
            replace(feature, owners=(index,))
            for index, column in enumerate(self.columns)
            for feature in column.features
        ]
        between = [
            Feature(f"{self.columns[b].name} - {self.columns[a].name} (days)", owners=(a, b))
            for a, b in self.pairs
        ]
        return (*own, *between)

    def to_dict(self) -> Json:
        """Return everything as JSON values."""
        return {
            "columns": [column.to_dict() for column in self.columns],
            "pairs": [list(pair) for pair in self.pairs],
            "dropped": self.dropped,
        }

    @classmethod
    def from_dict(cls, state: Json) -> Self:
        """Make the encoder again."""
        columns = [KINDS[column["kind"]].from_dict(column) for column in state["columns"]]
        return cls(columns, state["pairs"], state["dropped"])


def _is_constant(cells: pd.Series) -> bool:
    missing = cells.isna().to_numpy()
    if missing.any():
        return bool(missing.all())
    values = cells.to_numpy()
    return bool((values == values[0]).all())


def _pairs(frame: pd.DataFrame, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Return the timestamps whose difference is a feature."""
    names = [
        column.name
        for column in columns
        if column.kind is ColumnKind.TIMESTAMP
        and (column.parts is None or "days" in column.parts)
        and not frame[column.name].isna().all()
    ]
    telling = (pair for pair in combinations(names, 2) if is_telling(frame, *pair))
    return list(islice(telling, MAX_TIMESTAMP_PAIRS))


def _fit_column(column: Column, series: pd.Series) -> tuple[ColumnEncoder | None, str]:
    """Return the encoder of a column, or None and the reason why it carries nothing."""
    if series.isna().all():
        return None, "every cell is missing"
    kind = str(column.kind)
    if kind == "categorical":
        distinct = series.nunique()
        if distinct > max(len(series) / 2, 32):
            return None, (
                f"{number_of(distinct, 'distinct value')} in {number_of(len(series), 'row')}: it "
                "looks like an identifier"
            )
        return CategoricalColumn.fit(column.name, series), ""
    if kind == "timestamp":
        return TimestampColumn.fit(column.name, series, column.parts), ""
    if kind in ("numeric", "boolean"):
        return NumericColumn.fit(column.name, series, boolean=kind == "boolean"), ""
    raise DataError(
        f"Column {column.name!r} has kind {kind!r}, which no encoder reads. "
        "Use numeric, categorical, boolean or timestamp, or ignore the column."
    )
