"""Single figures of a ranking: AUROC, average precision, FPR at a recall, per-region overlap.

Of heatmaps they come with intervals by resampling whole images: millions of pixels are counted
once, into steps of heat for each image; a resample weighs images, and sorts no pixel again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage
from sklearn import metrics as sk

from vae_anomaly.arrays import AnyArray, Floats
from vae_anomaly.metrics.checks import checked_labels, checked_scores, is_flagged
from vae_anomaly.metrics.curves import RankingCurve
from vae_anomaly.metrics.intervals import Interval, proportion_interval

_STEPS = 1024  # of heat, for the intervals only


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


def aupro(masks: Sequence[AnyArray], heatmaps: Sequence[AnyArray], max_fpr: float = 0.3) -> float:
    """Return the area under the per-region-overlap curve up to a pixel false-positive rate.

    Every connected defect counts the same, however large: its pixels share a weight of one, and
    the curve is then a weighted ROC.

    Parameters
    ----------
    masks : sequence of ndarray of shape (H, W)
        Non-zero where defective.
    heatmaps : sequence of ndarray of shape (H, W)
        Higher = more anomalous, on one scale for all images.
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
    return RankingCurve.of(y, scores, np.concatenate(weights)).overlap(max_fpr)


def pixel_figures(
    masks: Sequence[AnyArray],
    heatmaps: Sequence[AnyArray],
    *,
    groups: ArrayLike | None = None,
    max_fpr: float = 0.3,
    level: float = 0.95,
    n_resamples: int = 200,
    random_state: int = 0,
) -> dict[str, Interval]:
    """Return ``pixel_auroc`` and ``aupro`` of heatmaps, with intervals.

    Parameters
    ----------
    masks : sequence of N ndarray of shape (H, W)
        Non-zero where defective.
    heatmaps : sequence of N ndarray of shape (H, W)
        Higher = more anomalous, on one scale for all images.
    groups : array-like of shape (N,), optional
        Images of one part or camera are resampled together.
    max_fpr : float in (0, 1]
        Of `aupro`.
    level : float in (0, 1)
    n_resamples, random_state : int

    Returns
    -------
    figures : dict of str to Interval

    Raises
    ------
    CalibrationError
        If no pixel is defective or none is normal.
    """
    truth = np.concatenate([np.asarray(mask).ravel() != 0 for mask in masks])
    heat = np.concatenate([np.asarray(h).ravel() for h in heatmaps])
    exact = {"pixel_auroc": auroc(truth, heat), "aupro": aupro(masks, heatmaps, max_fpr)}
    edges = np.unique(np.quantile(heat, np.linspace(0, 1, _STEPS + 1)[1:-1]))
    normal, pixels, regions = _counts(masks, heatmaps, edges)
    drawn: dict[str, list[float]] = {"pixel_auroc": [], "aupro": []}
    for weight in _weights(len(masks), groups, n_resamples, random_state):
        if (weight @ pixels).sum() > 0 and (weight @ normal).sum() > 0:
            drawn["pixel_auroc"].append(_curve(weight @ pixels, weight @ normal).auroc())
            drawn["aupro"].append(_curve(weight @ regions, weight @ normal).overlap(max_fpr))
    return {name: _interval(exact[name], drawn[name], level) for name in exact}


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
    frame = pd.DataFrame(
        {"kind": list(kinds), "flag": is_flagged(checked_scores(scores), threshold)}
    )
    rows = []
    for kind, flags in frame.groupby("kind", sort=True)["flag"]:
        share = proportion_interval(float(flags.sum()), float(flags.size))
        counts = {"kind": kind, "n": int(flags.size), "flagged": int(flags.sum())}
        rows.append({**counts, "share": share.estimate, "low": share.low, "high": share.high})
    return pd.DataFrame(rows)


def _counts(
    masks: Sequence[AnyArray], heatmaps: Sequence[AnyArray], edges: Floats
) -> tuple[Floats, Floats, Floats]:
    """Count, per image and falling step of heat, normal pixels, defective ones, and regions."""
    rows = []
    for mask, heat in zip(masks, heatmaps, strict=True):
        step = edges.size - np.searchsorted(edges, np.asarray(heat).ravel(), side="left")
        region = ndimage.label(np.asarray(mask) != 0, structure=np.ones((3, 3)))[0].ravel()
        share = np.where(region > 0, 1.0 / np.bincount(region)[region], 0.0)
        parts = (region == 0, region > 0, share)
        rows.append([np.bincount(step, part, minlength=edges.size + 1) for part in parts])
    table = np.array(rows, dtype=np.float64)  # (N, 3, B)
    return table[:, 0], table[:, 1], table[:, 2]


def _weights(n: int, groups: ArrayLike | None, n_resamples: int, random_state: int) -> Floats:
    """Return how often each image counts in each resample, shape (R, N)."""
    names = np.arange(n) if groups is None else np.asarray(groups).reshape(-1)
    _, unit = np.unique(names, return_inverse=True)
    k = int(unit.max()) + 1
    drawn = np.random.default_rng(random_state).multinomial(k, np.full(k, 1 / k), n_resamples)
    return drawn[:, unit].astype(np.float64)


def _curve(anomalies: Floats, normals: Floats) -> RankingCurve:
    tp, fp = (np.append(0.0, np.cumsum(part)) for part in (anomalies, normals))
    return RankingCurve(np.empty(0), tp, fp)


def _interval(estimate: float, draws: list[float], level: float) -> Interval:
    if not draws:
        return Interval(estimate, float("nan"), float("nan"), level)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate), level)
