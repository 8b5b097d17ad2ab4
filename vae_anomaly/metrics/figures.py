"""Single figures of a ranking: AUROC, average precision, FPR at a recall, per-region overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage
from sklearn import metrics as sk

from vae_anomaly.arrays import AnyArray
from vae_anomaly.metrics.checks import checked_labels, checked_scores, is_flagged
from vae_anomaly.metrics.curves import RankingCurve
from vae_anomaly.metrics.intervals import proportion_interval


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
    return RankingCurve.of(y, scores, np.concatenate(weights)).overlap(max_fpr)


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
