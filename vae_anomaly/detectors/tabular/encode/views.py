"""Two views of the same encoded table: standardised, and Gaussian where a column has heavy tails.

The standardised view keeps the gaps between clusters; the adaptive view keeps one heavy-tailed or
constant column from drowning the others. A detector that looks at both loses less on any one table
than a detector that looks at the better of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import ndtri

from vae_anomaly.arrays import Arrays, Bools, Floats, Floats32, Ints

HEAVY_TAIL_KURTOSIS = 4.0  # the normal law has 3, the uniform 1.8
MAX_KNOTS = 1024  # of the rank table of one column
TAIL_KNOTS = 128  # kept exactly at either end of it
_LARGEST = 1e300  # a quotient that overflows counts as this
SOFT_LIMIT = 1e4  # standard deviations beyond which a value grows by its logarithm only


@dataclass(frozen=True)
class StandardView:
    """Centre by the training mean and divide by the training standard deviation."""

    center: Floats  # (D,), 0 for features of a fixed scale
    scale: Floats  # (D,), 1 for these, and for constant features

    name = "std"

    @classmethod
    def fit(cls, values: Floats, fixed: Bools) -> Self:
        """Take mean and standard deviation of training values of shape (N, D)."""
        center, scale = _moments(values, fixed)
        return cls(center=center, scale=scale)

    def transform(self, values: Floats) -> Floats32:
        """Return the view of shape (N, D), float32, in training standard deviations."""
        return _soften((values - self.center) / self.scale).astype(np.float32)

    def column(self, feature: int, values: Floats) -> Floats:
        """Return the view of single values of one feature, shape (n,)."""
        return _soften((values - self.center[feature]) / self.scale[feature])

    def invert(self, feature: int, viewed: Floats) -> Floats:
        """Return the values of one feature that have the given views, shape (n,)."""
        return np.asarray(viewed * self.scale[feature] + self.center[feature])

    def state(self) -> Arrays:
        """Return the arrays that `from_state` needs."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, arrays: Arrays) -> Self:
        """Make the view again."""
        return cls(center=arrays["center"], scale=arrays["scale"])


@dataclass(frozen=True)
class AdaptiveView:
    """Replace heavy-tailed and constant features by Gaussian scores of their training rank.

    A value's score is the normal quantile of its mid-rank among the training values, linear between
    two of them. Beyond the training range it jumps to the quantile of half a row and grows by the
    excess in standard deviations: in a column that was constant, any other value is far away.
    """

    standard: StandardView  # of the other features
    features: Ints  # (R,), those that are ranked
    knots: list[Floats]  # rank tables of those, ascending
    scores: list[Floats]
    edge: float  # score of the largest training row when it is alone, about sqrt(2 log n)

    name = "arg"

    @cached_property
    def _table(self) -> dict[int, int]:
        """Places of the rank tables by feature."""
        return {int(feature): place for place, feature in enumerate(self.features)}

    @classmethod
    def fit(cls, values: Floats, fixed: Bools) -> Self:
        """Choose the features by their kurtosis and tabulate their ranks."""
        standard = StandardView.fit(values, fixed)
        scaled = (values - standard.center) / standard.scale
        constant = np.ptp(values, axis=0) == 0.0
        heavy = np.mean(scaled**4, axis=0) > HEAVY_TAIL_KURTOSIS
        features = np.flatnonzero((heavy | constant) & ~fixed)
        tables = [_rank_table(values[:, j]) for j in features]
        return cls(
            standard=standard,
            features=features.astype(np.int64),
            knots=[knots for knots, _ in tables],
            scores=[scores for _, scores in tables],
            edge=float(ndtri(1.0 - 0.5 / len(values))),
        )

    def transform(self, values: Floats) -> Floats32:
        """Return the view of shape (N, D), float32."""
        viewed = self.standard.transform(values)
        for feature in self.features:
            viewed[:, feature] = self.column(int(feature), values[:, feature])
        return viewed

    def column(self, feature: int, values: Floats) -> Floats:
        """Return the view of single values of one feature, shape (n,)."""
        table = self._table.get(feature)
        if table is None:
            return self.standard.column(feature, values)
        knots, scores = self.knots[table], self.scores[table]
        viewed = np.interp(values, knots, scores)
        above, below = values > knots[-1], values < knots[0]
        if above.any() or below.any():
            scale = self.standard.scale[feature]
            far = _soften((values - knots[-1]) / scale) + self.edge
            near = _soften((values - knots[0]) / scale) - self.edge
            viewed = np.where(above, far, np.where(below, near, viewed))
        return viewed

    def invert(self, feature: int, viewed: Floats) -> Floats:
        """Return the values of one feature that have the given views, shape (n,)."""
        table = self._table.get(feature)
        if table is None:
            return self.standard.invert(feature, viewed)
        return np.interp(viewed, self.scores[table], self.knots[table])

    def state(self) -> Arrays:
        """Return the arrays that `from_state` needs."""
        lengths = np.array([len(k) for k in self.knots], dtype=np.int64)
        return {
            **self.standard.state(),
            "features": self.features,
            "lengths": lengths,
            "knots": np.concatenate([np.empty(0), *self.knots]),
            "scores": np.concatenate([np.empty(0), *self.scores]),
            "edge": np.array([self.edge]),
        }

    @classmethod
    def from_state(cls, arrays: Arrays) -> Self:
        """Make the view again."""
        cuts = np.cumsum(arrays["lengths"])[:-1]
        n = len(arrays["features"])
        return cls(
            standard=StandardView.from_state(arrays),
            features=arrays["features"],
            knots=np.split(arrays["knots"], cuts)[:n],
            scores=np.split(arrays["scores"], cuts)[:n],
            edge=float(arrays["edge"][0]),
        )


View = StandardView | AdaptiveView
VIEWS: dict[str, type[StandardView] | type[AdaptiveView]] = {
    "std": StandardView,
    "arg": AdaptiveView,
}


def _moments(values: Floats, fixed: Bools) -> tuple[Floats, Floats]:
    """Return centre and scale; a spread that is rounding error counts as none."""
    center, scale = values.mean(axis=0), values.std(axis=0)
    constant = np.ptp(values, axis=0) == 0.0
    center = np.where(constant, values[0], center)
    scale = np.where(constant | (scale == 0.0), 1.0, scale)
    return np.where(fixed, 0.0, center), np.where(fixed, 1.0, scale)


def _soften(scaled: Floats) -> Floats:
    """Let values beyond `SOFT_LIMIT` grow by their logarithm: order is kept, float32 suffices."""
    size = np.abs(scaled)
    if not (size > SOFT_LIMIT).any():
        return scaled
    bounded = np.clip(size, SOFT_LIMIT, _LARGEST)
    grown = SOFT_LIMIT * (1.0 + np.log(bounded / SOFT_LIMIT))
    return np.where(size > SOFT_LIMIT, np.sign(scaled) * grown, scaled)


def _rank_table(column: Floats) -> tuple[Floats, Floats]:
    """Return distinct values and the normal quantiles of their mid-ranks, at most `MAX_KNOTS`."""
    knots, counts = np.unique(column, return_counts=True)
    n = len(column)
    middle = np.cumsum(counts) - 0.5 * counts
    scores = ndtri(np.clip(middle / n, 0.5 / n, 1.0 - 0.5 / n))
    if len(knots) > MAX_KNOTS:
        inner = np.linspace(TAIL_KNOTS, len(knots) - TAIL_KNOTS, MAX_KNOTS - 2 * TAIL_KNOTS)
        last = np.arange(len(knots) - TAIL_KNOTS, len(knots))
        kept = np.unique(np.concatenate([np.arange(TAIL_KNOTS), inner.astype(np.int64), last]))
        knots, scores = knots[kept], scores[kept]
    return knots, scores
