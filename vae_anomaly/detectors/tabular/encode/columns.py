"""One column as numbers: numeric and boolean, categorical; `timestamps` has points in time.

Each class is fitted on the cells of training rows, turns cells into features and, where the column
has few distinct values, into codes; and knows enough of the training cells to say what is typical.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Annotated, ClassVar, Self

import numpy as np
import pandas as pd
from pydantic import Field

from vae_anomaly.arrays import AnyArray, Bools, Floats, Ints, Objects
from vae_anomaly.errors import DataError
from vae_anomaly.state import Json, from_json

Series = pd.Series  # of one column, typed by the schema

MISSING = "<missing>"  # the category of an empty cell
MAX_LEVELS = 32  # one-hot values of a categorical column
MAX_COUNTED = 100_000  # distinct values whose frequency is kept
MAX_NUMERIC_LEVELS = 20
GAP_SHARE = 0.01  # of training rows, from which a gap gets an indicator
_LARGEST = 1e150  # its square is still a number
MAX_DECIMALS = 5
Cell = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
MATCH = 1.0 / np.sqrt(2.0)
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Feature:
    """Describe one encoded feature."""

    name: str
    owners: tuple[int, ...] = ()  # columns that it is made of
    fixed: bool = False  # no view may rescale it
    role: str = "value"  # or level:<i> of a categorical column, other, unseen, surprisal, gap


@dataclass(frozen=True)
class Encoded:
    """Hold the encoded cells of one column."""

    numbers: Floats  # (N, width)
    codes: Ints  # (N,), all 0 where the column has no codes
    missing: Bools  # (N,)
    unseen: Bools  # (N,)


@dataclass(frozen=True)
class ColumnEncoder(ABC):
    """Turn the cells of one column into features."""

    kind: ClassVar[str]
    name: str

    @property
    @abstractmethod
    def features(self) -> tuple[Feature, ...]:
        """What `encode` returns, column by column."""

    @property
    def n_codes(self) -> int:
        """Number of codes, the one for "never seen" included; 0 where the column has none."""
        return 0

    @abstractmethod
    def encode(self, cells: Series) -> Encoded:
        """Encode cells."""

    def code_values(self) -> Floats:
        """Return the features that each code stands for, shape (n_codes, width)."""
        return np.empty((0, len(self.features)))

    @abstractmethod
    def decode(self, values: Floats, codes: Ints) -> AnyArray:
        """Return cells, shape (N,), from features (N, width), or from codes where there are any."""

    @abstractmethod
    def refit(self, cells: Series) -> ColumnEncoder:
        """Return the same layout with the statistics of other cells."""

    def to_dict(self) -> Json:
        """Return everything as JSON values."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, state: Json) -> Self:
        """Make the encoder again."""
        return from_json(cls, {k: v for k, v in state.items() if k != "kind"})


@dataclass(frozen=True)
class NumericColumn(ColumnEncoder):
    """Numbers, or truth values as 0 and 1."""

    name: str
    boolean: bool
    fill: Cell  # what an empty cell becomes: the median of the training cells (lower of two)
    indicator: bool  # whether gaps have a feature of their own
    quantiles: Annotated[tuple[Cell, ...], Field(min_length=7, max_length=7)]  # at `QUANTILES`
    levels: tuple[Cell, ...]  # distinct values where few: 2, or at most 20 and a fifth of the rows
    shares: tuple[Share, ...]  # of each level among the training cells that were not empty
    gap_share: Share  # of the training cells
    integer: bool  # whether all of them were whole numbers
    lowest: Cell | None = None  # of the training cells; None in models saved without it
    highest: Cell | None = None
    n: Count = 0  # training cells that were not empty
    decimals: int | None = None  # that all of them are written with; None from `MAX_DECIMALS` on

    kind: ClassVar[str] = "numeric"

    @classmethod
    def fit(cls, name: str, cells: Series, *, boolean: bool = False) -> Self:
        """Take fill value, quantiles and levels from cells that are not all empty."""
        numbers = _numbers(cells)
        known = numbers[~np.isnan(numbers)]
        distinct = np.unique(known)
        few = len(distinct) <= 2 or len(distinct) <= min(MAX_NUMERIC_LEVELS, len(numbers) / 5)
        gap_share = 1.0 - len(known) / len(numbers)
        return cls(
            name=name,
            boolean=boolean,
            indicator=gap_share >= GAP_SHARE,
            levels=tuple(distinct.tolist()) if few else (),
            shares=_level_shares(known, distinct) if few else (),
            gap_share=gap_share,
            **_summary(known),
        )

    @classmethod
    def from_dict(cls, state: Json) -> Self:
        """Make the encoder again."""
        column = super().from_dict(state)
        low, high = column.lowest, column.highest
        inside = low is None or high is None or low <= column.fill <= high
        if not inside or list(column.levels) != sorted(set(column.levels)):
            raise DataError(f"The numbers of column {column.name!r} are not those of its cells.")
        return column

    @property
    def features(self) -> tuple[Feature, ...]:
        """The number, and the gap where it is told."""
        value = Feature(self.name)
        gap = Feature(f"{self.name} (missing)", fixed=True, role="gap")
        return (value, gap) if self.indicator else (value,)

    @property
    def n_codes(self) -> int:
        """Levels and "never seen"; 0 for a column of many values."""
        return len(self.levels) + 1 if self.levels else 0

    def encode(self, cells: Series) -> Encoded:
        """Fill gaps with the median, and code the levels."""
        numbers = _numbers(cells)
        missing = np.isnan(numbers)
        filled = np.where(missing, self.fill, numbers)
        parts = [filled, missing * MATCH] if self.indicator else [filled]
        return Encoded(
            numbers=np.stack(parts, axis=1),
            codes=self._codes(filled),
            missing=missing,
            unseen=np.zeros(len(numbers), dtype=np.bool_),
        )

    def refit(self, cells: Series) -> NumericColumn:
        """Take fill value and quantiles from other cells; keep them where all are empty."""
        numbers = _numbers(cells)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            return self
        shares = _level_shares(known, np.asarray(self.levels)) if self.levels else ()
        return replace(self, shares=shares, **_summary(known))

    def decode(self, values: Floats, codes: Ints) -> AnyArray:
        """Return numbers; whole ones where training had whole ones, 0 or 1 for truth values."""
        numbers = np.append(self.levels, self.fill)[codes] if self.levels else values[:, 0]
        return np.round(numbers) if self.integer else numbers

    def code_values(self) -> Floats:
        """Return level by level the number; for "never seen" the fill value."""
        if not self.levels:
            return super().code_values()
        values = np.zeros((self.n_codes, len(self.features)))
        values[:, 0] = [*self.levels, self.fill]
        return values

    def _codes(self, filled: Floats) -> Ints:
        if not self.levels:
            return np.zeros(len(filled), dtype=np.int64)
        levels = np.asarray(self.levels)
        position = np.searchsorted(levels, filled).clip(0, len(levels) - 1)
        return np.where(levels[position] == filled, position, len(levels)).astype(np.int64)


@dataclass(frozen=True)
class CategoricalColumn(ColumnEncoder):
    """Categories: one-hot of the frequent ones, surprisal of all."""

    name: str
    levels: tuple[str, ...]  # values with a feature of their own, most frequent first
    counts: dict[str, Count]  # how often training had each value
    n: Count  # training rows
    other: bool  # whether training had more values than `MAX_LEVELS`

    kind: ClassVar[str] = "categorical"

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(list(self.counts), dtype=object)

    @cached_property
    def _table(self) -> Ints:
        return np.fromiter(self.counts.values(), np.int64, len(self.counts))

    @classmethod
    def fit(cls, name: str, cells: Series) -> Self:
        """Count the values."""
        counts = _count(cells)
        return cls(
            name, tuple(list(counts)[:MAX_LEVELS]), counts, len(cells), len(counts) > MAX_LEVELS
        )

    @property
    def features(self) -> tuple[Feature, ...]:
        """One for each level, other values, values never seen, and the surprisal."""
        ones = [
            Feature(f"{self.name}={level}", fixed=True, role=f"level:{i}")
            for i, level in enumerate(self.levels)
        ]
        other = [Feature(f"{self.name}=other", fixed=True, role="other")] if self.other else []
        unseen = Feature(f"{self.name}=unseen", fixed=True, role="unseen")
        return (*ones, *other, unseen, Feature(f"{self.name} (surprisal)", role="surprisal"))

    @property
    def n_codes(self) -> int:
        """Levels, other where there are others, and never seen."""
        return len(self.levels) + int(self.other) + 1

    def encode(self, cells: Series) -> Encoded:
        """Encode categories; one never seen is its own level."""
        keys = _keys(cells)
        position = self._index.get_indexer(pd.Index(keys, dtype=object))
        count = np.where(position >= 0, self._table[position], 0)
        codes = self._codes(position)
        one_hot = np.zeros((len(keys), self.n_codes))
        one_hot[np.arange(len(keys)), codes] = MATCH
        surprisal = self.surprisal(count)
        return Encoded(
            numbers=np.column_stack([one_hot, surprisal]),
            codes=codes,
            missing=np.asarray(cells.isna(), dtype=np.bool_),
            unseen=np.asarray(count == 0, dtype=np.bool_),
        )

    def refit(self, cells: Series) -> CategoricalColumn:
        """Count other cells; the levels stay, a level that is not among them is unseen."""
        counts = _count(cells)
        return CategoricalColumn(self.name, self.levels, counts, len(cells), self.other)

    def decode(self, values: Floats, codes: Ints) -> AnyArray:
        """Return categories; the commonest other value for "other", the commonest for unseen."""
        rest = [value for value in self.counts if value not in self.levels]
        names = [*self.levels, *(rest[:1] or self.levels[:1] if self.other else []), self.levels[0]]
        cells: Objects = np.array(names, dtype=object)[codes]
        cells[cells == MISSING] = None
        return cells

    def code_values(self) -> Floats:
        """Return the one-hot block of each code, and its surprisal."""
        named = np.array([self.counts.get(level, 0) for level in self.levels], dtype=np.int64)
        rest = [self.n - int(named.sum())] if self.other else []
        return np.column_stack(
            [np.eye(self.n_codes) * MATCH, self.surprisal(np.array([*named, *rest, 0]))]
        )

    def surprisal(self, count: Ints) -> Floats:
        """Return -log(count / n) in nats; log(n + 1) for a value that is not there."""
        share = np.maximum(count, 1) / max(self.n, 1)
        return np.asarray(np.where(count > 0, -np.log(share), np.log(self.n + 1.0)))

    def share_as_rare(self, value: str) -> float:
        """Return the share of training cells with a value as rare or rarer.

        Of a value never seen, that of the cells whose value was seen once: as often one may expect
        the next cell to be new (Good and Turing).
        """
        as_rare = self._table[self._table <= max(self.counts.get(value, 0), 1)]
        return float(as_rare.sum()) / max(self.n, 1)

    def _codes(self, position: Ints) -> Ints:
        level = {value: i for i, value in enumerate(self.levels)}
        rest = len(self.levels) if self.other else self.n_codes - 1
        table = np.array([level.get(v, rest) for v in self.counts] + [self.n_codes - 1])
        return np.asarray(table[position], dtype=np.int64)  # position -1 is the last: never seen

    def to_dict(self) -> Json:
        """Return everything as JSON values."""
        return {
            "kind": self.kind, "name": self.name, "levels": list(self.levels),
            "values": list(self.counts), "counts": list(self.counts.values()), "n": self.n,
            "other": self.other,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, state: Json) -> Self:
        """Make the encoder again."""
        counts = dict(zip(state["values"], state["counts"], strict=True))
        names = ("name", "levels", "n", "other")
        column = from_json(cls, {name: state[name] for name in names} | {"counts": counts})
        counted, is_whole = sum(column.counts.values()), len(column.counts) < MAX_COUNTED
        if (
            min(column.counts.values()) < 1
            or counted > column.n
            or (is_whole and counted < column.n)
        ):
            raise DataError(f"The counts of column {column.name!r} are not those of its cells.")
        return column


def _numbers(cells: Series) -> Floats:
    numbers = np.asarray(cells, dtype=np.float64)
    return np.clip(numbers, -_LARGEST, _LARGEST)


def _summary(known: Floats) -> Json:
    return {
        "fill": float(np.quantile(known, 0.5, method="lower")),
        "quantiles": tuple(np.quantile(known, QUANTILES, method="nearest").tolist()),
        "integer": bool((known == np.round(known)).all()),
        "lowest": float(known.min()),
        "highest": float(known.max()),
        "n": len(known),
        "decimals": _decimals(known),
    }


def _decimals(known: Floats) -> int | None:
    """Return the fewest decimals that write all numbers, to the precision of float32."""
    for decimals in range(MAX_DECIMALS):
        moved = known * 10.0**decimals
        noise = 1e-7 * np.abs(moved) + 1e-9 * np.abs(moved).max()
        if (np.abs(moved - np.round(moved)) <= noise).all():
            return decimals
    return None


def _level_shares(known: Floats, levels: Floats) -> tuple[float, ...]:
    return tuple(float(np.mean(known == level)) for level in levels)


def _keys(cells: Series) -> Objects:
    keys = np.asarray(cells, dtype=object)
    missing = np.asarray(cells.isna(), dtype=np.bool_)
    if missing.any():
        keys = np.where(missing, MISSING, keys)
    return keys


def _count(cells: Series) -> dict[str, int]:
    """Return values and counts, most frequent first, equal counts by name."""
    values, counts = np.unique(_keys(cells).astype(str), return_counts=True)
    order = np.lexsort((values, -counts))[:MAX_COUNTED]
    return {str(values[i]): int(counts[i]) for i in order}
