"""The curve behind ROC and precision-recall: what is flagged at every threshold, by weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vae_anomaly.arrays import Bools, Floats, Indices


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
