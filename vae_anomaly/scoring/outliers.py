"""Which of the largest scores of normals stand so far apart that they are hardly normals.

A threshold at a small rate is owned by the few largest held-out scores: of 180 normals at 1 % by a
single one. One black frame among them, and every defect passes. So what stands apart is left out of
training and calibration, and is named.

**The rule.** Let ``X_1 >= X_2 >= ...`` be scores that are independent, with a generalised Pareto
law beyond some point: ``P(X > u + e) = (1 + s e / sigma)^(-1 / s)``. Then ``g = log(1 + s e /
sigma) / s`` is exponential, and the normalised spacings ``i (g_i - g_(i+1))`` are independent
exponentials of mean 1 (Renyi 1953). For k from the most that may be left out down to 1, the gap
below the k-th largest is compared with the m spacings below it: with sigma fitted to those alone,
``P(k (g_k - g_(k+1)) > t) = (1 + t / m)^-m``, nearly. The first k at which that is below
`FALSE_ALARMS` divided by the number of k's is taken. Since it is asked from outside to inside, and
sigma knows nothing of what lies above the gap, two outliers do not hide each other (Kimber 1982).

Three choices make it slow to speak, because a rare normal is no outlier:

* the tail is taken to be heavier than that of scores in nats, which is exponential where they are
  right: s = 0.05; for quantities without such a meaning take `HEAVY`, a law whose fourth moment is
  infinite;
* the gap below several is judged like that below one, not as k times as much: normals come in
  pairs that nobody has named, such as two images of one part, whose scores move together, and more
  of them are a rare kind of normals, which is to stay;
* sigma is at least a fifth of the middle half of the scores: where many are equal, as among rows
  of few values, small steps are no gaps.

In how many of 100 draws of n = 10 to 1,000 normals anything is left out (``python
benchmarks/bad_frames.py --rule``):

======================  ==========  ==========
scores of normals       s = 0.05    `HEAVY`
======================  ==========  ==========
Gaussian, gamma         0 - 0.1     0
exponential             0 - 0.7     0
Pareto, shape 0.1       0.4 - 1.7   0
lognormal               4 - 5       0 - 0.3
Pareto, shape 0.3       5 - 8       0.1 - 0.5
Pareto, shape 0.5       11 - 22     1.5 - 3
======================  ==========  ==========

Scores of ours fall off like the first three. Of 195 draws of 10 to 80 good images of five sets one
image was left out of two (``detectors.images.outliers`` has what is looked at there).

**What it does to the promised rate.** Where the d that were left out of n are no normals, p-values
are exact. Every one of them that was normal after all adds at most one false alarm in as many
normals as were held out: at a stated rate a expect at most a + d / n. No more than the larger of 2
and 2 % of the items is ever left out, so that is the most by which the promise can fail.

References
----------
Renyi, On the theory of order statistics, 1953. Kimber, Tests for many outliers in an exponential
sample, Applied Statistics 31, 1982. Barnett and Lewis, Outliers in Statistical Data, 1994, ch. 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log1p
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.words import names_of

LEFT_OUT: Final = "Left out as outliers"
"""How the warning begins that names what was left out."""

FAR_FROM_OTHERS: Final = "far from all others"
"""The reason where there is no better one."""

FALSE_ALARMS: Final = 0.02
"""Chance that anything is left out of normals whose tail is as heavy as the rule assumes."""

LARGEST_SHARE_LEFT_OUT: Final = 0.02
_AT_LEAST: Final = 2  # of a few items as many may be left out
NATS: Final = 0.05
HEAVY: Final = 0.3
"""Shapes that tails are taken to have, at most: of scores in nats, and of anything else."""

_TAIL_SHARE: Final = 0.2  # of the scores tells how far apart the largest ones lie
_TAIL_BOUNDS: Final = (10, 100)
_LEAST_TAIL: Final = 4
_LEAST_SCALE: Final = 0.2  # of the middle half
_HALVINGS: Final = 60
_NAMED: Final = 10


@dataclass(frozen=True)
class LeftOut:
    """An item that training left out as an outlier.

    Parameters
    ----------
    id : str
        Of an image; of a row its label or number in the training table.
    score : float
        Anomaly score by the model that was trained without it.
    reason : str
        What is unusual about it, in words.
    """

    id: str
    score: float
    reason: str

    def __str__(self) -> str:
        return f"{self.id}: {self.reason} (score {self.score:.1f})"


def left_out_words(items: Sequence[LeftOut]) -> str:
    """Say which training items were left out, and what to do; the first ten by name."""
    return (
        f"{LEFT_OUT}: {names_of(items, _NAMED)}. Normal items score 2 at most or so; these would "
        "own the threshold. Look at them; where they are normal, train with outliers='keep'."
    )


def left_out_note(dropped: int, n: int) -> str:
    """Say of a threshold what ``dropped`` of n held-out normals mean that were left out."""
    return (
        f"{dropped} of {n} held-out items were left out as outliers; if they were normal, expect "
        f"up to {dropped / n:.2g} more than the stated rate."
    )


def most_left_out(n: int) -> int:
    """Return how many of n items may be left out at most: 2 %, but two of a few."""
    return min(max(_AT_LEAST, ceil(LARGEST_SHARE_LEFT_OUT * n)), n // 4)


def standing_out(
    scores: ArrayLike, groups: ArrayLike | None = None, most: int = 0, shape: float = NATS
) -> Bools:
    """Tell which scores stand apart from the others, above all of them.

    Parameters
    ----------
    scores : array-like of shape (n,), finite, higher = more anomalous
        Of normals, each judged by what was fitted without it.
    groups : array-like of shape (n,), optional
        Items of one group are not independent: then the largest score of each group counts, and
        a group that is strange as a whole, more of it than may be left out, stays.
    most : int
        How many items at most; by default `most_left_out` of n.
    shape : float
        Of the tail, s in the text above.

    Returns
    -------
    stands_out : ndarray of shape (n,), bool

    Examples
    --------
    >>> usual = np.log(180.0 / np.arange(1, 181))
    >>> int(standing_out(usual).sum())
    0
    >>> standing_out([*usual, 60.0, 61.0])[-3:].tolist()
    [False, True, True]
    """
    values = np.asarray(scores, np.float64).reshape(-1)
    most = most or most_left_out(len(values))
    units = values
    if groups is not None and len(values):
        _, codes = np.unique(np.asarray(groups), return_inverse=True)
        units = np.full(codes.max() + 1, -np.inf)
        np.maximum.at(units, codes, values)
    ordered = np.sort(units)[::-1]
    k = _first_gap(ordered, min(most, most_left_out(len(ordered))), shape)
    above = values > ordered[k] if k else np.zeros(len(values), bool)
    return above if above.sum() <= most else np.zeros(len(values), bool)


def _first_gap(ordered: Floats, most: int, shape: float) -> int:
    """Return how many of the scores, descending, lie above a gap; 0 where there is none."""
    if len(ordered) < 2 * _LEAST_TAIL:
        return 0
    high, low = np.quantile(ordered, [0.75, 0.25])
    smallest = _LEAST_SCALE * float(high - low)
    for k in range(most, 0, -1):
        if _chance(ordered, k, smallest, shape) <= FALSE_ALARMS / most:
            return k
    return 0


def _chance(ordered: Floats, k: int, smallest_scale: float, shape: float) -> float:
    """Return how likely normals leave such a gap below the k largest scores, descending."""
    least, longest = _TAIL_BOUNDS
    m = min(max(least, int(_TAIL_SHARE * len(ordered))), longest, len(ordered) - k - 1)
    start = float(ordered[k + m])
    scale = max(_scale(ordered[k : k + m] - start, k, shape), smallest_scale)
    if m < _LEAST_TAIL or scale <= 0.0:
        return 1.0
    step = float(ordered[k - 1] - ordered[k]) / (scale + shape * float(ordered[k] - start))
    spacing = log1p(shape * step) / shape  # of a gap that is exponential with mean 1 / k at most
    return float((1.0 + spacing / m) ** -m)


def _scale(excess: Floats, k: int, shape: float) -> float:
    """Fit sigma to m excesses, descending, above which k more lie that are not looked at.

    It makes the mean of their normalised spacings 1; found by halving.
    """
    top = float(excess[0])
    if top <= 0.0:
        return 0.0
    low, high = 1e-6 * top, 1e3 * top
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        g = np.log1p(shape / middle * excess) / shape
        low, high = (middle, high) if g.sum() + k * g[0] > len(excess) else (low, middle)
    return high
