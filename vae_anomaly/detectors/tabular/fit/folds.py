"""Which training rows do what: train the networks, stop them, fill the memory, calibrate.

Calibration needs normals that neither network nor memory nor any statistic has seen. Where rows are
plenty, a tenth of them is held out, and at least 500. Where they are scarce, every row is held out
once: for each of five folds a detector of its own is trained on the others and scores it, and one
more, trained on all rows, scores from then on. Groups are never split.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from vae_anomaly.arrays import Ints
from vae_anomaly.detectors.folds import deal
from vae_anomaly.errors import NotEnoughDataError

_MIN_ROWS = 10
MIN_ROWS_TO_SPLIT = 2_000
HELD_OUT_SHARE = 0.1
MIN_HELD_OUT = 500
MAX_HELD_OUT = 5_000
VALIDATION_SHARE = 0.15
MAX_VALIDATION = 1_000
_N_FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """One detector's rows."""

    fit: Ints  # that statistics and memory are made of, in random order
    validation: Ints  # of these: the networks do not train on them, they decide when to stop
    held_out: Ints  # that nothing of this detector sees; it scores them for calibration
    # that the memory draws on beside `fit`, in random order; none in most tables
    more: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def train(self) -> Ints:
        """Rows that the networks train on."""
        return self.fit[~np.isin(self.fit, self.validation)]

    def without(self, rows: Ints) -> Fold:
        """Return the fold without some rows; the others keep their order and their part."""
        fit, validation, held_out, more = (
            part[~np.isin(part, rows)]
            for part in (self.fit, self.validation, self.held_out, self.more)
        )
        return Fold(fit, validation if len(validation) else fit[:1], held_out, more)


def plan_rows(
    n_rows: int,
    groups: Ints | None,
    max_rows: int,
    rng: np.random.Generator,
    *,
    n_folds: int = _N_FOLDS,
    max_memory_rows: int = 0,
) -> list[Fold]:
    """Return the folds: the detector that stays comes first.

    One detector is fitted on at most ``max_rows``; its memory draws on at most ``max_memory_rows``,
    but in any case on those that it is fitted on. There are ``n_folds`` where rows are scarce.
    Fewer than 10 rows raise `NotEnoughDataError`.
    """
    if n_rows < _MIN_ROWS:
        raise NotEnoughDataError(
            f"A tabular detector needs at least {_MIN_ROWS} normal rows; got n_samples={n_rows}. "
            "Collect more rows of normal operation."
        )
    everyone = rng.permutation(n_rows)
    if n_rows >= MIN_ROWS_TO_SPLIT:
        wanted = int(np.clip(HELD_OUT_SHARE * n_rows, MIN_HELD_OUT, MAX_HELD_OUT))
        held_out = draw_rows(everyone, groups, wanted, rng)
        fold = _fold(everyone, held_out, groups, max_rows, rng)
        more = everyone[~np.isin(everyone, held_out)][max_rows:max_memory_rows]
        return [replace(fold, more=more)]
    parts = _partition(everyone, groups, n_folds)
    nobody = everyone[:0]
    return [
        _fold(everyone, nobody, groups, max_rows, rng),
        *(_fold(everyone, part, groups, max_rows, rng) for part in parts),
    ]


def only_used(folds: list[Fold]) -> tuple[Ints, list[Fold]]:
    """Return the rows that any fold uses, and the folds with their numbers among those."""
    used = np.unique(np.concatenate([np.concatenate([f.fit, f.held_out, f.more]) for f in folds]))

    def renumber(rows: Ints) -> Ints:
        return np.searchsorted(used, rows).astype(np.int64)

    return used, [
        Fold(renumber(f.fit), renumber(f.validation), renumber(f.held_out), renumber(f.more))
        for f in folds
    ]


def _fold(
    rows: Ints, held_out: Ints, groups: Ints | None, max_rows: int, rng: np.random.Generator
) -> Fold:
    fit = rows[~np.isin(rows, held_out)][:max_rows]
    wanted = int(np.clip(VALIDATION_SHARE * len(fit), 1, MAX_VALIDATION))
    several = groups is None or len(np.unique(groups[fit])) > 1
    validation = draw_rows(fit, groups if several else None, wanted, rng)
    return Fold(fit=fit, validation=validation, held_out=held_out[:MAX_HELD_OUT])


def draw_rows(rows: Ints, groups: Ints | None, wanted: int, rng: np.random.Generator) -> Ints:
    """Draw rows, or whole groups until they hold enough rows; never all groups."""
    if groups is None:
        return rng.permutation(rows)[:wanted]
    order = rng.permutation(np.unique(groups[rows]))
    sizes = np.cumsum(np.bincount(groups[rows])[order])
    n_groups = min(int(np.searchsorted(sizes, wanted)) + 1, len(order) - 1)
    return rows[np.isin(groups[rows], order[:n_groups])]


def _partition(rows: Ints, groups: Ints | None, n_folds: int) -> list[Ints]:
    """Cut rows into folds of about equal size, groups whole; the largest groups are dealt first."""
    if groups is None:
        return [part for part in np.array_split(rows, n_folds) if len(part)]
    names, members = np.unique(groups[rows], return_inverse=True)
    folds = deal(np.bincount(members), np.arange(len(names)), n_folds)[members]
    return [rows[folds == fold] for fold in range(min(n_folds, len(names)))]
