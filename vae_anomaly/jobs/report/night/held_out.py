"""What held-out normals say of a threshold: how many false alarms a night of normals will have.

Where k - 1 of n held-out normals lie above a threshold, the share of all normals above it follows
Beta(k, n + 1 - k) (see `vae_anomaly.thresholds.conformal`), and the number X among N more normals
follows the beta-binomial law with N draws: what is not known of the calibration and the scatter of
the night, in one. X is the number of N new scores that exceed the k-th largest of n, so

    P(X <= x) = P(at least k of n are among the x + k largest of n + N), a hypergeometric law.

Its interval with ``a`` normals above is the smallest x with P(X <= x) > 2.5 % for k = a, and the
smallest with P(X <= x) >= 97.5 % for k = a + 1: at least 95 % of nights of normals lie in it,
wherever the threshold lies between two of them.

References
----------
Gumbel and von Schelling, The distribution of the number of exceedances, Annals of Mathematical
Statistics 21, 1950. Thatcher, Relationships between Bayesian and confidence limits for predictions,
Journal of the Royal Statistical Society B 26, 1964.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy import stats

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.metrics import Interval, effective_items
from vae_anomaly.reports.facts.night import ScoringFacts

LEVEL: Final = 0.95
_TAIL: Final = (1 - LEVEL) / 2


@dataclass(frozen=True)
class HeldOutScores:
    """Held-out normals of a model.

    Parameters
    ----------
    scores : ndarray of shape (M,), float64, rising
        All of them, or quantiles.
    n : int
        How many there are; 0 where it is not known.
    groups : ndarray of shape (M,), int, optional
        Every group weighs the same, and items of one do not count as so many.
    """

    scores: Floats
    n: int
    groups: Ints | None = None

    @classmethod
    def of(cls, facts: ScoringFacts) -> HeldOutScores:
        """Take those that were kept beside the results."""
        scores = np.asarray(facts.held_out, dtype=np.float64)
        groups = np.asarray(facts.groups, dtype=np.int64) if facts.groups else None
        return cls(scores, facts.n_held_out, groups)

    def false_alarms(self, values: Floats, n_items: int) -> list[Interval]:
        """Return how many of ``n_items`` normals to expect above each of (V,) thresholds.

        Beyond all held-out normals the estimate is that of the fitted tail, N times 10 to the minus
        value, and the interval what was counted still allows. Where nothing is known of them, the
        score is taken at its word and the interval is the binomial one of the night alone.
        """
        said = np.minimum(10.0 ** -np.asarray(values, dtype=np.float64), 1.0)
        if not self.n:
            ends = [np.asarray(stats.binom.ppf(q, n_items, said)) for q in (_TAIL, 1 - _TAIL)]
            return _intervals(n_items * said, *ends)
        share, n = self._shares_above(values)
        above, estimate = share * n, (share * n + 1) / (n + 1)
        estimate = np.where(above > 0, estimate, np.minimum(estimate, said))
        low = _smallest(np.floor(above + 1e-9), n, n_items, _TAIL, strictly=True)
        high = _smallest(np.ceil(above - 1e-9) + 1, n, n_items, 1 - _TAIL)
        return _intervals(n_items * estimate, low, high)

    def expected(self, edges: Floats, n_items: int) -> Floats:
        """Return how many of ``n_items`` normals to expect between edges, (K + 1,), in each bin.

        What lies below all of the edges or above counts in the first bin or the last.
        """
        if not self.scores.size:
            rates = np.minimum(10.0 ** -np.asarray(edges), 1.0)
            rates[0], rates[-1] = 1.0, 0.0
            return np.asarray(n_items * -np.diff(rates))
        clipped = np.clip(self.scores, edges[0], edges[-1])
        counts = np.histogram(clipped, edges, weights=self._weights)[0]
        return np.asarray(n_items * counts, dtype=np.float64)

    @cached_property
    def _weights(self) -> Floats:
        """Of each score; they sum to 1."""
        if self.groups is None:
            return np.full(self.scores.size, 1.0 / max(self.scores.size, 1))
        _, unit, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        return np.asarray(1.0 / (sizes[unit] * sizes.size))

    def _shares_above(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the share of normals above each value, and of how many independent ones."""
        if self.groups is not None:
            return self._group_shares(values)
        n = np.full(len(values), float(self.n))
        if self.scores.size == self.n:
            above = self.n - np.searchsorted(self.scores, values, side="right")
        else:  # only quantiles: a score says itself how many lie above, (k - 1) / (n + 1) < p
            above = np.ceil((self.n + 1) * 10.0 ** -np.asarray(values) - 1e-6) - 1
        return np.clip(above, 0, self.n) / self.n, n

    def _group_shares(self, values: Floats) -> tuple[Floats, Floats]:
        assert self.groups is not None  # noqa: S101 - asked for by the caller
        weights, n_groups = self._weights, np.unique(self.groups).size
        shares, counts = np.empty(len(values)), np.empty(len(values))
        for i, value in enumerate(values):
            above = self.scores > value
            shares[i] = float(np.sum(weights[above]))
            known = n_groups > 1 and above.any()
            counts[i] = (
                effective_items(above * weights, weights, self.groups) if known else n_groups
            )
        return shares, np.maximum(np.floor(counts), 1.0)


def _smallest(k: Floats, n: Floats, n_items: int, q: float, *, strictly: bool = False) -> Floats:
    """Return the smallest x with P(X <= x) at least q, or above it, for each of k and n."""
    low, high = np.zeros(len(k)), np.full(len(k), float(n_items))
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        below = _at_most(middle, k, n, n_items)
        enough = below > q if strictly else below >= q
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        low = np.minimum(low, high)
    return low


def _at_most(x: Floats, k: Floats, n: Floats, n_items: int) -> Floats:
    """Return P(X <= x): of N new scores at most x exceed the k-th largest of n."""
    inside = np.minimum(k, n)
    drawn = np.minimum(x + inside, n + n_items)
    below = stats.hypergeom.sf(inside - 1, n + n_items, n, drawn)
    below = np.where(k > n, x >= n_items, below)  # beneath all of them: every one exceeds it
    return np.asarray(np.where(k < 1, 1.0, below), dtype=np.float64)  # above all: none does


def _intervals(estimates: Floats, lows: Floats, highs: Floats) -> list[Interval]:
    return [
        Interval(float(e), min(float(low), float(e)), max(float(high), float(e)), LEVEL)
        for e, low, high in zip(estimates, lows, highs, strict=True)
    ]
