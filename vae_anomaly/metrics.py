"""How good a ranking and a flag are, each figure with its interval.

Everywhere: ``labels`` are 1 (or True) for an anomaly and 0 for a normal item, ``scores`` rise with
strangeness, and an item is flagged when its score is *greater than* the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, stats
from sklearn import metrics as sk

from vae_anomaly.errors import CalibrationError

__all__ = [
    "Interval",
    "RankingCurve",
    "aupro",
    "auroc",
    "average_precision",
    "bootstrap_interval",
    "bootstrap_weights",
    "checked_labels",
    "checked_scores",
    "fpr_at_tpr",
    "partial_auroc",
    "proportion_interval",
    "recall_by_kind",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
CurveMetric = Callable[["RankingCurve"], float]


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval around it.

    Parameters
    ----------
    estimate, low, high : float
        In the unit of the figure; ``low <= high``.
    level : float in (0, 1)
        Coverage of the interval.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def scaled(self, factor: float) -> Interval:
        """Multiply by a positive factor, for example a rate by a daily volume."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor, self.level)

    def __str__(self) -> str:
        return f"{self.estimate:.4g} [{self.low:.4g}, {self.high:.4g}]"


def checked_scores(scores: ArrayLike, what: str = "scores") -> FloatArray:
    """Return the scores as a flat float64 array, or say why they cannot be used.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Higher = more anomalous.
    what : str
        What the scores are, for the message.

    Returns
    -------
    scores : ndarray of shape (N,), float64

    Raises
    ------
    CalibrationError
        If there are none, or any is NaN or infinite.
    """
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    if values.size == 0:
        raise CalibrationError(f"There are no {what}; got an empty list. Score some items first.")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise CalibrationError(
            f"{bad.size} of {values.size} {what} are not finite numbers; the first is "
            f"{values[bad[0]]} at position {bad[0]}. Quarantine these items, then try again."
        )
    return values


def checked_labels(labels: ArrayLike, n: int) -> BoolArray:
    """Return labels as booleans (True = anomaly), or say why they cannot be used.

    Parameters
    ----------
    labels : array-like of shape (N,)
        0/1, booleans, or numbers that are only 0 and 1.
    n : int
        How many there must be.

    Returns
    -------
    labels : ndarray of shape (N,), bool

    Raises
    ------
    CalibrationError
        If the length differs, a label is neither 0 nor 1, or one of the two classes is absent.
    """
    values = np.asarray(labels).reshape(-1)
    if values.size != n:
        raise CalibrationError(f"Each score needs one label: got {n} scores, {values.size} labels.")
    is_one, is_zero = values == 1, values == 0
    strange = np.flatnonzero(~(is_one | is_zero))
    if strange.size:
        raise CalibrationError(
            f"A label must be 0 (normal) or 1 (anomaly); got {values[strange[0]]!r} at position "
            f"{strange[0]}. Map the labels to 0 and 1."
        )
    if not is_one.any() or not is_zero.any():
        missing = "anomalies" if is_zero.any() else "normal items"
        raise CalibrationError(
            f"Labels without {missing} cannot support this figure; got {int(is_one.sum())} "
            f"anomalies and {int(is_zero.sum())} normals. "
            "Use a policy that needs no labels, or add labelled items."
        )
    return np.asarray(is_one, dtype=np.bool_)


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

    value: FloatArray
    tp: FloatArray
    fp: FloatArray

    @classmethod
    def of(
        cls, labels: BoolArray, scores: FloatArray, weights: FloatArray | None = None
    ) -> RankingCurve:
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
        return _Ranking.of(labels, scores).curve(weights)

    @property
    def tpr(self) -> FloatArray:
        """Recall at each point, in [0, 1]."""
        return np.asarray(self.tp / self.tp[-1])

    @property
    def fpr(self) -> FloatArray:
        """False-positive rate at each point, in [0, 1]."""
        return np.asarray(self.fp / self.fp[-1])

    @property
    def precision(self) -> FloatArray:
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


@dataclass(frozen=True)
class _Ranking:
    """Items sorted once, so that a thousand bootstrap weights need no further sort."""

    labels: BoolArray  # (N,) by falling score
    order: NDArray[np.intp]  # (N,)
    ends: NDArray[np.intp]  # (T - 1,) last position of each distinct score
    value: FloatArray  # (T,)

    @classmethod
    def of(cls, labels: BoolArray, scores: FloatArray) -> _Ranking:
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        ends = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
        level = falling[ends]  # distinct scores, falling
        lower = np.append(level[1:], np.nextafter(level[-1], -np.inf))
        middle = lower + (level - lower) / 2
        value = np.append(level[0], np.where(middle < level, middle, lower))
        return cls(labels[order], order, ends, value)

    def curve(self, weights: FloatArray | None = None) -> RankingCurve:
        w = np.ones(self.order.size) if weights is None else weights[self.order]
        tp = np.cumsum(w * self.labels)[self.ends]
        fp = np.cumsum(w * ~self.labels)[self.ends]
        return RankingCurve(self.value, np.append(0.0, tp), np.append(0.0, fp))


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that an anomaly outranks a normal item.

    Parameters
    ----------
    labels : array-like of shape (N,), 1 = anomaly
    scores : array-like of shape (N,), higher = more anomalous

    Returns
    -------
    auroc : float in [0, 1]; 0.5 = no better than chance

    Raises
    ------
    CalibrationError
        If a score is not finite or one class is absent.
    """
    s = checked_scores(scores)
    return float(sk.roc_auc_score(checked_labels(labels, s.size), s))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the average precision; the share of anomalies is what chance reaches.

    Parameters
    ----------
    labels : array-like of shape (N,), 1 = anomaly
    scores : array-like of shape (N,), higher = more anomalous

    Returns
    -------
    average_precision : float in [0, 1]

    Raises
    ------
    CalibrationError
        If a score is not finite or one class is absent.
    """
    s = checked_scores(scores)
    return float(sk.average_precision_score(checked_labels(labels, s.size), s))


def fpr_at_tpr(labels: ArrayLike, scores: ArrayLike, tpr: float = 0.95) -> float:
    """Return the false-positive rate that must be paid to find this share of anomalies.

    Parameters
    ----------
    labels : array-like of shape (N,), 1 = anomaly
    scores : array-like of shape (N,), higher = more anomalous
    tpr : float in (0, 1]

    Returns
    -------
    fpr : float in [0, 1], lower = better

    Raises
    ------
    CalibrationError
        If a score is not finite or one class is absent.
    """
    s = checked_scores(scores)
    return RankingCurve.of(checked_labels(labels, s.size), s).fpr_at_tpr(tpr)


def partial_auroc(labels: ArrayLike, scores: ArrayLike, max_fpr: float = 0.1) -> float:
    """Return the AUROC left of ``max_fpr``, scaled so that chance is 0.5 and perfect is 1.

    Parameters
    ----------
    labels : array-like of shape (N,), 1 = anomaly
    scores : array-like of shape (N,), higher = more anomalous
    max_fpr : float in (0, 1]

    Returns
    -------
    partial_auroc : float in [0, 1]

    References
    ----------
    McClish, Analyzing a portion of the ROC curve, 1989.
    """
    s = checked_scores(scores)
    return float(sk.roc_auc_score(checked_labels(labels, s.size), s, max_fpr=max_fpr))


def aupro(
    masks: Sequence[NDArray[Any]], heatmaps: Sequence[NDArray[Any]], max_fpr: float = 0.3
) -> float:
    """Return the area under the per-region-overlap curve up to a pixel false-positive rate.

    Every connected defect counts the same, however large: its pixels share a weight of one, and
    the curve is then a weighted ROC.

    Parameters
    ----------
    masks : sequence of ndarray of shape (H, W)
        Non-zero where defective.
    heatmaps : sequence of ndarray of shape (H, W)
        Higher = more anomalous, on one scale for all pictures.
    max_fpr : float in (0, 1]
        Where the area ends; the area is divided by it.

    Returns
    -------
    aupro : float in [0, 1]

    Raises
    ------
    CalibrationError
        If no pixel is defective or none is normal.

    References
    ----------
    Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021.
    """
    weights, labels = [], []
    for mask in masks:
        regions, _ = ndimage.label(np.asarray(mask) != 0, structure=np.ones((3, 3)))
        sizes = np.bincount(regions.ravel())
        weights.append(np.where(regions > 0, 1.0 / sizes[regions], 1.0).ravel())
        labels.append((regions > 0).ravel())
    scores = checked_scores(np.concatenate([np.asarray(h).ravel() for h in heatmaps]), "pixels")
    y = checked_labels(np.concatenate(labels), scores.size)
    curve = RankingCurve.of(y, scores, np.concatenate(weights))
    inside = curve.fpr <= max_fpr
    fpr = np.append(curve.fpr[inside], max_fpr)
    pro = np.append(curve.tpr[inside], np.interp(max_fpr, curve.fpr, curve.tpr))
    return float(np.trapezoid(pro, fpr) / max_fpr)


def proportion_interval(successes: float, total: float, level: float = 0.95) -> Interval:
    """Return a share with its exact (Clopper-Pearson) interval.

    Parameters
    ----------
    successes, total : float
        ``0 <= successes <= total``; with ``total = 0`` the interval is [0, 1].
    level : float in (0, 1)

    Returns
    -------
    interval : Interval in [0, 1]; the estimate is NaN for ``total = 0``

    References
    ----------
    Clopper and Pearson, The use of confidence or fiducial limits, 1934.
    """
    if total == 0:
        return Interval(float("nan"), 0.0, 1.0, level)
    a = (1 - level) / 2
    low = stats.beta.ppf(a, successes, total - successes + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(1 - a, successes + 1, total - successes) if successes < total else 1.0
    return Interval(successes / total, float(low), float(high), level)


def bootstrap_weights(
    labels: BoolArray,
    generator: np.random.Generator,
    groups: NDArray[Any] | None = None,
) -> FloatArray:
    """Draw how often each item occurs in one bootstrap resample.

    Parameters
    ----------
    labels : ndarray of shape (N,), bool
        Without groups, normals and anomalies are resampled apart, so both are always present.
    generator : numpy Generator
    groups : ndarray of shape (N,), optional
        Whole groups are resampled: items of one part, customer or camera stay together.

    Returns
    -------
    weights : ndarray of shape (N,), float64, non-negative whole numbers
    """
    if groups is not None:
        _, inverse = np.unique(groups, return_inverse=True)
        n = int(inverse.max()) + 1
        return np.bincount(generator.integers(0, n, n), minlength=n).astype(np.float64)[inverse]
    weights = np.zeros(labels.size)
    for members in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        if members.size:
            drawn = generator.integers(0, members.size, members.size)
            weights[members] = np.bincount(drawn, minlength=members.size)
    return weights


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
    ranking = _Ranking.of(y, s)
    members = None if groups is None else np.asarray(groups).reshape(-1)
    generator = np.random.default_rng(random_state)
    draws = []
    for _ in range(n_resamples):
        curve = ranking.curve(bootstrap_weights(y, generator, members))
        if curve.tp[-1] > 0 and curve.fp[-1] > 0:
            draws.append(metric(curve))
    estimate = metric(ranking.curve())
    if not draws:
        return Interval(estimate, float("nan"), float("nan"), level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level)


def recall_by_kind(scores: ArrayLike, kinds: Sequence[str], threshold: float) -> pd.DataFrame:
    """Tabulate how many items of each kind are flagged.

    Parameters
    ----------
    scores : array-like of shape (N,), higher = more anomalous
    kinds : sequence of N str
        Kind of each item, for example ``"good"`` or ``"crack"``.
    threshold : float
        Flagged when ``score > threshold``.

    Returns
    -------
    table : DataFrame
        One row per kind, sorted by name: ``kind, n, flagged, share, low, high`` (95 % interval).
    """
    frame = pd.DataFrame({"kind": list(kinds), "flag": checked_scores(scores) > threshold})
    rows = []
    for kind, flags in frame.groupby("kind", sort=True)["flag"]:
        share = proportion_interval(float(flags.sum()), float(flags.size))
        counts = {"kind": kind, "n": int(flags.size), "flagged": int(flags.sum())}
        rows.append({**counts, "share": share.estimate, "low": share.low, "high": share.high})
    return pd.DataFrame(rows)
