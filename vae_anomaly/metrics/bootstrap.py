"""Bootstrap intervals of ranking figures: one sort, then counts only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats, Indices
from vae_anomaly.errors import CalibrationError
from vae_anomaly.metrics.checks import checked_labels, checked_scores
from vae_anomaly.metrics.curves import Ranking, RankingCurve
from vae_anomaly.metrics.intervals import Interval

CurveMetric = Callable[[RankingCurve], float]
_Drawer = Callable[[], tuple[Floats, Floats]]


def bootstrap_interval(
    metric: CurveMetric,
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 400,
    random_state: int = 0,
) -> Interval:
    """Estimate a ranking metric with its percentile-bootstrap interval.

    Parameters
    ----------
    metric : callable
        RankingCurve to float, for example ``RankingCurve.auroc``.
    labels : array-like of shape (N,), 1 = anomaly
    scores : array-like of shape (N,), higher = more anomalous
    groups : array-like of shape (N,), optional
        Resample whole groups.
    level : float in (0, 1)
    n_resamples : int
        Group resamples that hold only one class are skipped.
    random_state : int

    Returns
    -------
    interval : Interval

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    s = checked_scores(scores)
    y = checked_labels(labels, s.size)
    steps = Steps.of(Ranking.of(y, s))
    generator = np.random.default_rng(random_state)
    draw = steps.item_drawer(generator) if groups is None else steps.group_drawer(generator, groups)
    draws = []
    for _ in range(n_resamples):
        curve = steps.curve(*draw())
        if curve.tp[-1] > 0 and curve.fp[-1] > 0:
            draws.append(metric(curve))
    estimate = metric(steps.curve(steps.anomalies, steps.normals))
    if not draws:
        return Interval(estimate, float("nan"), float("nan"), level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level)


@dataclass(frozen=True)
class Steps:
    """A ranking with its runs of normals merged: the same areas, in fewer steps.

    A run of score levels that hold normals only is one straight stretch of both curves, however
    its normals are weighted, so 300,000 rows with 1,000 anomalies need some 2,000 steps.
    """

    step: Indices  # (N,) of each item, in the order of the items
    labels: Bools  # (N,)
    value: Floats  # (B + 1,)
    anomalies: Floats  # (B,) number in each step
    normals: Floats  # (B,)

    @classmethod
    def of(cls, ranking: Ranking) -> Steps:
        """Find the steps of a ranking's curve."""
        level = np.repeat(np.arange(ranking.ends.size), np.diff(ranking.ends, prepend=-1))
        holds_anomaly = np.bincount(level, ranking.labels) > 0
        joins = ~holds_anomaly[1:] & ~holds_anomaly[:-1]  # with the level before
        step_of_level = np.append(0, np.cumsum(~joins))
        by_rank = step_of_level[level]
        step, labels = np.empty_like(by_rank), np.empty_like(ranking.labels)
        step[ranking.order], labels[ranking.order] = by_rank, ranking.labels
        last = np.flatnonzero(np.diff(step_of_level, append=step_of_level[-1] + 1))
        value = np.append(ranking.value[0], ranking.value[1:][last])
        n = int(step_of_level[-1]) + 1
        count = (np.bincount(step[part], minlength=n).astype(float) for part in (labels, ~labels))
        return cls(step, labels, value, *count)

    def curve(self, anomalies: Floats, normals: Floats) -> RankingCurve:
        """Return the curve of so many anomalies and normals at each step."""
        tp, fp = np.cumsum(anomalies), np.cumsum(normals)
        return RankingCurve(self.value, np.append(0.0, tp), np.append(0.0, fp))

    def item_drawer(self, generator: np.random.Generator) -> _Drawer:
        """Resample normals and anomalies apart, so that both are always there."""
        sizes = [int(part.sum()) for part in (self.anomalies, self.normals)]
        shares = [self.anomalies / sizes[0], self.normals / sizes[1]]

        def draw() -> tuple[Floats, Floats]:
            counts = [generator.multinomial(n, p) for n, p in zip(sizes, shares, strict=True)]
            return counts[0].astype(np.float64), counts[1].astype(np.float64)

        return draw

    def group_drawer(self, generator: np.random.Generator, groups: ArrayLike) -> _Drawer:
        """Resample whole groups: items of one part, customer or camera stay together."""
        members = np.asarray(groups).reshape(-1)
        if members.size != self.labels.size:
            raise CalibrationError(
                f"Each score needs one group; got {self.labels.size} scores and {members.size} "
                "groups. Give groups in the order of the scores."
            )
        _, inverse = np.unique(members, return_inverse=True)
        n_groups, n_steps = int(inverse.max()) + 1, self.anomalies.size

        def draw() -> tuple[Floats, Floats]:
            drawn = generator.integers(0, n_groups, n_groups)
            weight = np.bincount(drawn, minlength=n_groups)[inverse]  # (N,)
            parts = (self.labels, ~self.labels)
            counts = [np.bincount(self.step[p], weight[p], minlength=n_steps) for p in parts]
            return counts[0].astype(np.float64), counts[1].astype(np.float64)

        return draw
