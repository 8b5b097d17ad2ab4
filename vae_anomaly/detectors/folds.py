"""Whole groups to folds, for tables and images alike; and a few items that stand for all."""

from __future__ import annotations

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyInts, Ints
from vae_anomaly.errors import NotEnoughDataError


def assign_folds(groups: AnyArray, n_folds: int, random_state: int) -> Ints:
    """Return a fold for each item, (n,) int64; a group is never split.

    Groups are shuffled, and dealt with the largest first.

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
    return deal(sizes, order, n_folds)[members]


def deal(sizes: AnyInts, order: AnyInts, n_folds: int) -> Ints:
    """Return the fold of each group, (g,) int64: the largest first, each to the emptiest fold.

    Parameters
    ----------
    sizes : ndarray of shape (g,)
        Items of each group.
    order : ndarray of shape (g,)
        Order of groups of the same size.
    n_folds : int
        No more than there are groups are made.
    """
    load = np.zeros(min(n_folds, len(sizes)))
    fold_of = np.zeros(len(sizes), np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of[group] = int(np.argmin(load))
        load[fold_of[group]] += sizes[group]
    return fold_of


def evenly(n: int, most: int) -> Ints:
    """Return at most ``most`` numbers of 0 .. n - 1, at equal distances."""
    return np.unique(np.linspace(0, n - 1, most).astype(np.int64))
