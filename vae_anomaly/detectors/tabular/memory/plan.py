"""Which rows a memory is made of: the training rows themselves, or a summary of more of them.

Where a table has more rows than the networks are trained on, the memory is chosen from up to
`MAX_MEMORY_ROWS` of them (`vae_anomaly.detectors.tabular.memory.coreset`). Chosen exemplars lie
apart from each other, so what they see of each other does not tell what a new row sees. Hence a
tenth of the rows is kept out of the memory and tells what is usual for each term. Held-out rows are
in neither part. Where no row would be left over, the memory is a uniform draw and measures itself,
row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Bools, Ints
from vae_anomaly.detectors.tabular.fit.folds import Fold, draw_rows

MAX_MEMORY_ROWS = 60_000
MAX_CELLS = 3_000_000  # of these rows: of wide tables fewer are held
MIN_ROWS = 5_000  # fewer are no table worth a summary: a tenth of them tells too little
FRESH_SHARE = 0.1
MAX_FRESH = 5_000


@dataclass(frozen=True)
class MemoryRows:
    """The rows behind one detector's memory.

    Parameters
    ----------
    known : ndarray of int64
        Rows that the exemplars are taken from, in random order.
    fresh : ndarray of int64
        Rows that tell what is usual for each term; none where exemplars tell it themselves, and
        then these are the first known rows.
    seed : int
        Of the choice.
    """

    known: Ints
    fresh: Ints
    seed: int

    @property
    def is_summary(self) -> bool:
        """Whether exemplars are chosen and weighed."""
        return len(self.fresh) > 0


def max_memory_rows(n_columns: int) -> int:
    """Return how many rows of a table are held for its memory, at most."""
    return min(MAX_MEMORY_ROWS, MAX_CELLS // n_columns)


def plan_memory(
    fold: Fold,
    groups: Ints | None,
    n_exemplars: int,
    unseen: Bools,
    *,
    checked: bool,
    seed: int,
) -> MemoryRows:
    """Say which rows the memory of a fold is made of.

    Parameters
    ----------
    fold : Fold
    groups : ndarray of shape (N,), int64, optional
        No group has rows on both sides.
    n_exemplars : int
        Wanted.
    unseen : ndarray of shape (N,), bool
        Rows with a category that the fold's encoder does not know. They are no exemplars: these
        would vouch for every category that is new.
    checked : bool
        Whether the rows are normal. Of others no summary is made: it would keep the anomalies.
    seed : int
    """
    rows = np.concatenate([fold.fit, fold.more])
    everyone = MemoryRows(rows[~unseen[rows]], rows[:0], seed)
    if not checked or len(rows) < max(MIN_ROWS, n_exemplars):
        return everyone
    wanted = min(int(FRESH_SHARE * len(rows)), MAX_FRESH)
    known, fresh = _apart(rows, groups, wanted, seed)
    known = known[~unseen[known]]
    enough = len(fresh) > 0 and len(known) > n_exemplars
    return MemoryRows(known, fresh[:MAX_FRESH], seed) if enough else everyone


def _apart(rows: Ints, groups: Ints | None, wanted: int, seed: int) -> tuple[Ints, Ints]:
    """Cut rows into those to remember and about as many others as are wanted, groups whole."""
    if groups is None:
        return rows[:-wanted], rows[-wanted:]  # the networks have trained on the first
    fresh = draw_rows(rows, groups, wanted, np.random.default_rng(seed))
    return rows[~np.isin(rows, fresh)], fresh
