"""The curves behind ROC and precision over recall, thinned to what a page draws."""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.metrics import RankingCurve, is_flagged
from vae_anomaly.reports.facts.training import RankingPoints

MOST_POINTS: Final = 200


def ranking_points(
    scores: Floats, labels: Bools, threshold: float, weights: Floats | None = None
) -> RankingPoints:
    """Return recall, false-positive rate and precision at falling thresholds, and at one.

    Parameters
    ----------
    scores : ndarray of shape (N,), higher = more anomalous
    labels : ndarray of shape (N,), bool
        Both classes.
    threshold : float
        Flagged when ``score > threshold``.
    weights : ndarray of shape (N,), optional
        How many items each stands for.
    """
    w = np.ones(len(scores)) if weights is None else weights
    curve = RankingCurve.of(labels, scores, w)
    kept = _thinned(curve)
    flags = is_flagged(scores, threshold)
    hits, alarms = float(w[flags & labels].sum()), float(w[flags & ~labels].sum())
    bad, good = float(w[labels].sum()), float(w[~labels].sum())
    precision = hits / (hits + alarms) if hits + alarms else 1.0
    return RankingPoints(
        fpr=_rounded(curve.fpr[kept]),
        recall=_rounded(curve.tpr[kept]),
        precision=_rounded(curve.precision[kept]),
        at=(alarms / good, hits / bad, precision),
        base_rate=bad / (bad + good),
    )


def _thinned(curve: RankingCurve) -> AnyArray:
    """Return places at about equal steps of recall, and of the logarithm of the alarms."""
    n = len(curve.fpr)
    if n <= MOST_POINTS:
        return np.arange(n)
    half = MOST_POINTS // 2 - 1
    least = curve.fpr[curve.fpr > 0].min()
    recalls = np.searchsorted(curve.tpr, np.linspace(0.0, 1.0, half))
    alarms = np.searchsorted(curve.fpr, np.geomspace(least, 1.0, half))
    return np.unique(np.clip(np.concatenate([[0, n - 1], recalls, alarms]), 0, n - 1))


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
