"""Which of many rows a memory keeps, so that few of them stand for all.

A uniform draw spends the memory where rows are densest, where one exemplar would do for hundreds,
and misses what is rare. Here the first exemplars are a uniform draw; each further one is drawn with
a probability that grows with its squared distance to the exemplars before it. So rare kinds of
normal rows are kept and dense regions thinned out, and `ExemplarMemory.weigh` counts how many rows
each exemplar stands for. Exemplars are drawn in rounds: those of one round do not see each other.

References
----------
Arthur and Vassilvitskii, k-means++: The Advantages of Careful Seeding, 2007 (squared distances).
Bahmani et al., Scalable K-Means++, 2012 (rounds).
Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006 (keys).
"""

from __future__ import annotations

import numpy as np
import torch

from vae_anomaly.arrays import Floats, Floats32, Ints

ROUND = 512  # exemplars drawn before distances are measured anew
BLOCK = 2_048  # rows measured at a time: their products stay in the processor's cache
NOISE = 1e-5  # of a squared norm, under which a squared distance from products is rounding


def choose_exemplars(rows: Floats32, n: int, n_even: int, rng: np.random.Generator) -> Ints:
    """Choose rows that together lie near all others.

    Parameters
    ----------
    rows : ndarray of shape (N, D), float32
        In random order.
    n : int
        Exemplars, at most N.
    n_even : int
        How many of them are a uniform draw; at least 1 and at most ``n``.

    Returns
    -------
    chosen : ndarray of shape (n,), int64
        Places of different rows. The first ``n_even`` are 0, 1, 2, ..., and every beginning of the
        rest is a summary as well.
    """
    centred = torch.from_numpy(rows - rows.mean(axis=0))
    norm = centred.square().sum(1)
    apart = torch.full((len(rows),), torch.inf)
    rounds = [np.arange(n_even)]
    while (left := n - sum(map(len, rounds))) > 0:
        _bring_nearer(apart, centred, norm, torch.from_numpy(rounds[-1]))
        taken = np.concatenate(rounds)
        rounds.append(_draw(apart.double().numpy(), taken, min(left, ROUND), rng))
    return np.concatenate(rounds)


def _bring_nearer(
    apart: torch.Tensor, rows: torch.Tensor, norm: torch.Tensor, new: torch.Tensor
) -> None:
    """Lower each row's squared distance to its nearest exemplar where a new one is nearer."""
    exemplars = rows[new]
    table = torch.cat([exemplars.T, -0.5 * norm[new][None, :]])  # x . e - |e|^2 / 2
    ones = torch.ones(BLOCK, 1)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        best = (torch.cat([rows[part], ones[: len(rows[part])]], dim=1) @ table).amax(1)
        squared = norm[part] - 2.0 * best
        squared[squared < NOISE * norm[part]] = 0.0
        apart[part] = torch.minimum(apart[part], squared)


def _draw(squared: Floats, taken: Ints, n: int, rng: np.random.Generator) -> Ints:
    """Draw n rows with probability proportional to their squared distance, never one twice.

    Rows at distance 0 come last, in any order.
    """
    keys = np.log(np.maximum(squared, 1e-300)) + rng.gumbel(size=len(squared))
    keys[taken] = -np.inf
    return np.argpartition(-keys, n - 1)[:n]
