"""The curve behind ROC and precision-recall, and the bootstrap intervals of what is read from it.

Items are sorted once; a resample is then only other counts at the same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats, Indices
from vae_anomaly.errors import CalibrationError
from vae_anomaly.metrics.checks import checked_labels, checked_scores
from vae_anomaly.metrics.intervals import Interval

_Drawer = Callable[[], tuple[Floats, Floats]]


@dataclass(frozen=True)
class RankingCurve:
    """Weighted counts of what is flagged, for every threshold that changes the flags.

    Point ``j`` flags all items with ``score >= level[j]``, equivalently ``score > value[j]``;
    point 0 flags none.

    Parameters
    ----------
    value : ndarray of shape (T,), float64
        Bound for "score > value", falling; halfway to the next lower distinct score.
    tp, fp : ndarray of shape (T,), float64
        Weight of flagged anomalies and of flagged normals, rising.
    """

    value: Floats
    tp: Floats
    fp: Floats

    @classmethod
    def of(cls, labels: Bools, scores: Floats, weights: Floats | None = None) -> RankingCurve:
        """Build the curve; one sort, ties kept together.

        Parameters
        ----------
        labels : ndarray of shape (N,), bool
        scores : ndarray of shape (N,), float64, finite
        weights : ndarray of shape (N,), optional
            Non-negative weight of each item; default 1.

        Returns
        -------
        curve : RankingCurve
        """
        return Ranking.of(labels, scores).curve(weights)

    @property
    def tpr(self) -> Floats:
        """Recall at each point, in [0, 1]."""
        return np.asarray(self.tp / self.tp[-1])

    @property
    def fpr(self) -> Floats:
        """False-positive rate at each point, in [0, 1]."""
        return np.asarray(self.fp / self.fp[-1])

    @property
    def precision(self) -> Floats:
        """Share of flags that are anomalies at each point; 1 where nothing is flagged."""
        flagged = self.tp + self.fp
        return np.divide(self.tp, flagged, out=np.ones_like(flagged), where=flagged > 0)

    def auroc(self) -> float:
        """Return the area under the ROC curve, in [0, 1]."""
        return float(np.trapezoid(self.tpr, self.fpr))

    def average_precision(self) -> float:
        """Return the step-wise area under the precision-recall curve, in [0, 1]."""
        return float(np.sum(np.diff(self.tpr) * self.precision[1:]))

    def fpr_at_tpr(self, tpr: float = 0.95) -> float:
        """Return the smallest false-positive rate that reaches this recall."""
        return float(self.fpr[np.argmax(self.tpr >= tpr - 1e-12)])

    def partial_auroc(self, max_fpr: float = 0.1) -> float:
        """Return the area left of a false-positive rate, scaled so that chance is 0.5 (McClish)."""
        fpr = np.append(self.fpr[self.fpr < max_fpr], max_fpr)
        tpr = np.append(self.tpr[self.fpr < max_fpr], np.interp(max_fpr, self.fpr, self.tpr))
        chance = max_fpr**2 / 2
        return float((1 + (np.trapezoid(tpr, fpr) - chance) / (max_fpr - chance)) / 2)

    def overlap(self, max_fpr: float = 0.3) -> float:
        """Return the mean recall left of a false-positive rate, in [0, 1]; not scaled by chance."""
        inside = self.fpr <= max_fpr
        fpr = np.append(self.fpr[inside], max_fpr)
        tpr = np.append(self.tpr[inside], np.interp(max_fpr, self.fpr, self.tpr))
        return float(np.trapezoid(tpr, fpr) / max_fpr)


@dataclass(frozen=True)
class Ranking:
    """Items sorted once, so that a thousand bootstrap weights need no further sort."""

    labels: Bools  # (N,) by falling score
    order: Indices  # (N,)
    ends: Indices  # (T - 1,) last position of each distinct score
    value: Floats  # (T,)

    @classmethod
    def of(cls, labels: Bools, scores: Floats) -> Ranking:
        """Sort the items, ties kept together."""
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        ends = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
        level = falling[ends]  # distinct scores, falling
        lower = np.append(level[1:], np.nextafter(level[-1], -np.inf))
        middle = lower + (level - lower) / 2
        value = np.append(level[0], np.where(middle < level, middle, lower))
        return cls(labels[order], order, ends, value)

    def curve(self, weights: Floats | None = None) -> RankingCurve:
        """Return the curve of the items with these weights, shape (N,), default 1."""
        w = np.ones(self.order.size) if weights is None else weights[self.order]
        tp = np.cumsum(w * self.labels)[self.ends]
        fp = np.cumsum(w * ~self.labels)[self.ends]
        return RankingCurve(self.value, np.append(0.0, tp), np.append(0.0, fp))


def bootstrap_interval(
    metric: Callable[[RankingCurve], float],
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
