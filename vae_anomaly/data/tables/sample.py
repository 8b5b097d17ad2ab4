"""Keep a uniform sample of a table that is read in pieces, in memory of the sample's size.

Every row gets a key that follows from the seed and the row's number alone, and the rows of the
smallest keys are kept (bottom-k sampling). So the sample does not depend on how the table is cut
into pieces, and no row is likelier than another. Where groups are named the key follows from the
group: whole groups are kept, as many as fit.

References
----------
Cohen and Kaplan, Summarizing data using bottom-k sketches, 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from vae_anomaly.data.tables.keys import read_keys

Keys = NDArray[np.uint64]


@dataclass
class _Piece:
    """Rows kept of one file, in order."""

    file: int
    table: pa.Table
    keys: Keys

    def below(self, limit: np.uint64) -> Self:
        is_below = self.keys < limit
        return type(self)(self.file, self.table.filter(pa.array(is_below)), self.keys[is_below])


class RowSample:
    """The rows of the smallest keys of all that were added.

    Parameters
    ----------
    max_rows : int
        Most rows kept. Rows of one key stay together: all or none of them are kept.
    """

    def __init__(self, max_rows: int) -> None:
        self.max_rows, self.n_added = max_rows, 0
        self._pieces: list[_Piece] = []
        self._limit: np.uint64 | None = None
        self._held = 0

    def add(self, file: int, table: pa.Table, keys: Keys) -> None:
        """Take the next rows of a file, given by its number, with their keys of shape (N,).

        Rows of one file are handed back together.
        """
        self.n_added += len(keys)
        piece = _Piece(file, table, keys)
        if self._limit is not None:
            piece = piece.below(self._limit)
        if len(piece.keys):
            self._pieces.append(piece)
            self._held += len(piece.keys)
        if self._held > 2 * self.max_rows:
            self._cut()

    def tables(self) -> dict[int, pa.Table]:
        """Return the sampled rows of each file as an Arrow table, in the order they came."""
        self._cut()
        return {piece.file: piece.table for piece in self._pieces}

    @property
    def n_keys(self) -> int:
        """How many different keys are kept: groups, where keys are theirs."""
        self._cut()
        keys = [piece.keys for piece in self._pieces]
        return len(np.unique(np.concatenate(keys))) if keys else 0

    def _cut(self) -> None:
        """Drop the largest keys until the rows fit, and join what is left of each file."""
        if not self._pieces:
            return
        limit = _first_too_many(np.concatenate([p.keys for p in self._pieces]), self.max_rows)
        if limit is not None:
            self._limit = limit
            self._pieces = [piece.below(limit) for piece in self._pieces]
        files = sorted({piece.file for piece in self._pieces})
        joined = [_joined([p for p in self._pieces if p.file == file]) for file in files]
        self._pieces = [piece for piece in joined if len(piece.keys)]
        self._held = sum(len(piece.keys) for piece in self._pieces)


def row_keys(start: int, n_rows: int, seed: int) -> Keys:
    """Return a random key for each of the rows numbered from ``start``, shape (N,), uint64."""
    return _mixed(np.arange(start, start + n_rows, dtype=np.uint64), seed)


def group_keys(groups: pd.Series, seed: int) -> Keys:
    """Return a random key for each row, the same for rows of one group, shape (N,), uint64."""
    texts = np.array([text or "" for text in read_keys(groups)], dtype=object)
    return _mixed(np.asarray(pd.util.hash_array(texts), dtype=np.uint64), seed)


def _first_too_many(keys: Keys, max_rows: int) -> np.uint64 | None:
    """Return the smallest key that no longer fits; None where all do."""
    if len(keys) <= max_rows:
        return None
    distinct, counts = np.unique(keys, return_counts=True)
    place = int(np.searchsorted(np.cumsum(counts), max_rows, side="right"))
    return np.uint64(distinct[place])


def _joined(pieces: list[_Piece]) -> _Piece:
    table = pa.concat_tables([piece.table for piece in pieces]).combine_chunks()
    return _Piece(pieces[0].file, table, np.concatenate([piece.keys for piece in pieces]))


def _mixed(values: Keys, seed: int) -> Keys:
    """Scatter 64-bit numbers (SplitMix64 of Steele, Lea and Flood, 2014)."""
    state = values * np.uint64(0x9E3779B97F4A7C15) + _scrambled(np.array([seed], dtype=np.uint64))
    return _scrambled(state)


def _scrambled(state: Keys) -> Keys:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
