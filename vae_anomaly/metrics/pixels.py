"""Figures of heat maps against outlined defects, with intervals by resampling whole pictures.

Millions of pixels are counted once, into steps of heat for each picture; a resample then weighs
pictures, and no pixel is sorted again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from vae_anomaly.arrays import AnyArray, Floats
from vae_anomaly.metrics.curves import RankingCurve
from vae_anomaly.metrics.figures import aupro, auroc
from vae_anomaly.metrics.intervals import Interval

STEPS = 1024  # of heat, for the intervals only


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
    """Return ``pixel_auroc`` and ``aupro`` of heat maps, with intervals.

    Parameters
    ----------
    masks : sequence of N ndarray of shape (H, W)
        Non-zero where defective.
    heatmaps : sequence of N ndarray of shape (H, W)
        Higher = more anomalous, on one scale for all pictures.
    groups : array-like of shape (N,), optional
        Pictures of one part or camera are resampled together.
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
    edges = np.unique(np.quantile(heat, np.linspace(0, 1, STEPS + 1)[1:-1]))
    normal, pixels, regions = _counts(masks, heatmaps, edges)
    drawn: dict[str, list[float]] = {"pixel_auroc": [], "aupro": []}
    for weight in _weights(len(masks), groups, n_resamples, random_state):
        if (weight @ pixels).sum() > 0 and (weight @ normal).sum() > 0:
            drawn["pixel_auroc"].append(_curve(weight @ pixels, weight @ normal).auroc())
            drawn["aupro"].append(_curve(weight @ regions, weight @ normal).overlap(max_fpr))
    return {name: _interval(exact[name], drawn[name], level) for name in exact}


def _counts(
    masks: Sequence[AnyArray], heatmaps: Sequence[AnyArray], edges: Floats
) -> tuple[Floats, Floats, Floats]:
    """Count, per picture and falling step of heat, normal pixels, defective ones, and regions."""
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
    """Return how often each picture counts in each resample, shape (R, N)."""
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
