"""Which pictures train and which are held out, whole groups; and a few that stand for all."""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Ints
from vae_anomaly.errors import NotEnoughDataError

N_FOLDS: Final = 5
_VALIDATION_SHARE: Final = 7  # one group in seven decides when to stop


def assign_folds(groups: AnyArray, n_folds: int, random_state: int) -> Ints:
    """Return a fold for each picture, (n,) int64; a group is never split.

    Groups are shuffled and each goes to the fold with the fewest pictures so far.

    Raises
    ------
    NotEnoughDataError
        If there is only one group.
    """
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise NotEnoughDataError(
            f"Calibration holds out whole groups and needs at least 2; got {len(names)} "
            f"({names[0]!r}). Give a finer groups=, or none."
        )
    sizes = np.bincount(members)
    order = np.random.default_rng(random_state).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros(min(n_folds, len(names)))
    fold_of = np.zeros(len(names), np.int64)
    for group in order:
        fold_of[group] = int(np.argmin(load))
        load[fold_of[group]] += sizes[group]
    return fold_of[members]


def validation_split(groups: AnyArray, seen: Bools, random_state: int) -> tuple[Bools, Bools]:
    """Split what a network may see into training and stopping pictures, by group."""
    inside = np.flatnonzero(seen)
    stop = np.zeros(len(seen), bool)
    if len(np.unique(groups[inside])) >= 2 * _VALIDATION_SHARE:
        stop[inside[assign_folds(groups[inside], _VALIDATION_SHARE, random_state) == 0]] = True
    return seen & ~stop, stop


def network_parts(groups: AnyArray, n_networks: int, random_state: int) -> Ints:
    """Return which network does not see each picture; a single network sees four fifths."""
    return assign_folds(groups, n_networks if n_networks > 1 else N_FOLDS, random_state + 1)


def evenly(n: int, most: int) -> Ints:
    """Return at most ``most`` numbers of 0 .. n - 1, at equal distances."""
    return np.unique(np.linspace(0, n - 1, most).astype(np.int64))
