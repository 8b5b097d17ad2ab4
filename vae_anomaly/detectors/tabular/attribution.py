"""Whose doing is a score: shares of features that sum to what is explained.

Distances between vectors split by themselves: ``d^2 = sum_j (x_j - e_j)^2``. What a network
computes is split by integrated gradients along the straight line from a baseline (a normal
exemplar) to the row, whose parts sum to the difference of the two values; the small error of the
quadrature is spread in proportion to the parts' size, so that sums are exact.

A negative share speaks for the row: without that feature the score would be higher.

References
----------
Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, 2017 (completeness).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vae_anomaly.arrays import Floats

STEPS = 16  # points of the midpoint rule along the line


def distance_shares(rows: Floats, exemplars: Floats) -> Floats:
    """Split the mean distance to the nearest exemplars over the features.

    Parameters
    ----------
    rows : ndarray of shape (N, D)
    exemplars : ndarray of shape (N, k, D)
        The k nearest of each row.

    Returns
    -------
    shares : ndarray of shape (N, D), float64, >= 0
        Sum to 1 in each row; equal where a row is its own neighbour in everything.
    """
    squared = np.square(rows[:, None, :] - exemplars)  # (N, k, D)
    distance = np.sqrt(squared.sum(axis=2, keepdims=True))
    parts = squared / np.where(distance > 0.0, distance, 1.0)
    return normalised_shares(parts.mean(axis=1))


def excess_shares(values: Floats, typical: Floats) -> Floats:
    """Split by how far each non-negative part exceeds what is typical of it.

    Parameters
    ----------
    values : ndarray of shape (N, D)
    typical : ndarray of shape (D,)

    Returns
    -------
    shares : ndarray of shape (N, D), float64, >= 0
        Sum to 1 in each row; equal where nothing exceeds.
    """
    return normalised_shares(np.maximum(values - typical, 0.0))


def normalised_shares(parts: Floats) -> Floats:
    """Divide non-negative parts by their row's sum; equal shares where all are 0."""
    total = parts.sum(axis=1, keepdims=True)
    equal = np.full_like(parts, 1.0 / parts.shape[1])
    return np.asarray(np.where(total > 0.0, parts / np.where(total > 0.0, total, 1.0), equal))


def integrated_gradients(
    value: Callable[[torch.Tensor], torch.Tensor],
    rows: torch.Tensor,
    baselines: torch.Tensor,
) -> Floats:
    """Split ``value(row) - value(baseline)`` over the features.

    Parameters
    ----------
    value : callable
        From (n, D) to (n,); each result depends on its own row alone.
    rows, baselines : Tensor of shape (N, D)

    Returns
    -------
    parts : ndarray of shape (N, D), float64
        In the unit of `value`; they sum to the difference, in each row.
    """
    places = (torch.arange(STEPS) + 0.5) / STEPS
    apart = rows - baselines
    line = baselines + places[:, None, None] * apart  # (S, N, D)
    with torch.enable_grad():
        points = line.reshape(-1, rows.shape[1]).detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(value(points).sum(), points)
    with torch.no_grad():
        wanted = (value(rows) - value(baselines)).double()
    parts = (slope.reshape(line.shape).double().mean(0) * apart.double()).numpy()
    return _completed(parts, wanted.numpy())


def _completed(parts: Floats, wanted: Floats) -> Floats:
    """Spread what is missing to the wanted sum in proportion to the size of the parts."""
    size = normalised_shares(np.abs(parts))
    return np.asarray(parts + size * (wanted - parts.sum(axis=1))[:, None])
