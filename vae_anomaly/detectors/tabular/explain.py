"""Contributions of the original columns to the score of each row: shares of features, that add up.

===========  ======================================================================================
term         how it is split over the features
===========  ======================================================================================
latent       integrated gradients of the squared latent distance, from each of the nearest exemplars
data, local  squared differences to the nearest exemplars
elbo         excess of each column's negative log-likelihood over its mean on held-out rows
===========  ======================================================================================

A feature's part goes to the column it was made from, in equal parts where there are two.

What lies far away is not always what is wrong: a wrong category puts the amount, the number and the
hour of its row far away from others of that category. So each cell that adds much is made usual
(`usual_cells`): as much of the score as goes away with a single cell is given to the cells by how
far it falls with each, and the rest is split as above.

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
import pandas as pd
import torch

from vae_anomaly.arrays import Floats, Floats32
from vae_anomaly.detectors.tabular.examination import TableExamination, ViewExamination
from vae_anomaly.detectors.tabular.usual_cells import falls
from vae_anomaly.scoring.fusion import term_contributions

_STEPS = 16  # points of the midpoint rule along the line


def explain(examination: TableExamination) -> pd.DataFrame:
    """Return what each column adds to the raw score of each row, nats; rows sum to it."""
    columns = list(examination.model.encoder.names)
    parts = contributions(examination)
    return pd.DataFrame(parts, index=examination.frame.index, columns=columns)


def contributions(examination: TableExamination) -> Floats:
    """Split raw scores over the original columns, (N, columns), nats; rows sum to the raw score."""
    unscaled = examination.unscaled_score
    if examination.model.score in ("fused", "latent"):
        parts = _of_terms(examination)
    else:
        parts = _of_likelihood(examination)
    rest = (unscaled - parts.sum(axis=1)) / parts.shape[1]
    parts = np.asarray(parts + rest[:, None])
    if examination.model.scale is not None:
        scaled = examination.raw_score
        rate = np.divide(scaled, unscaled, out=np.ones_like(unscaled), where=unscaled != 0.0)
        parts = parts * rate[:, None]
    if examination.model.score in ("fused", "latent"):
        parts = by_falls(parts, examination.raw_score, falls(examination, parts))
    return parts


def by_falls(parts: Floats, scores: Floats, fallen: Floats) -> Floats:
    """Give as much of each score as goes away with one cell to the cells that it falls with.

    Parameters
    ----------
    parts : ndarray of shape (N, columns), nats
        Rows sum to the scores.
    scores : ndarray of shape (N,), nats
    fallen : ndarray of shape (N, columns), nats
        How far each score falls with each cell made usual, at least 0.

    Returns
    -------
    parts : ndarray of shape (N, columns), nats
        Rows sum to the scores.
    """
    most = fallen.max(axis=1)
    share = np.divide(most, scores, out=np.zeros_like(most), where=scores > 0.0).clip(0.0, 1.0)
    total = np.where(most > 0.0, fallen.sum(axis=1), 1.0)
    given = (share * scores / total)[:, None] * fallen
    return np.asarray(given + (1.0 - share)[:, None] * parts)


def _of_terms(examination: TableExamination) -> Floats:
    amounts = term_contributions(*examination.terms_of_score())
    ownership = examination.model.encoder.ownership()
    parts = np.zeros((len(examination), ownership.shape[1]))
    for view in examination.views:
        latent, data = _view_shares(view)
        for kind, shares in (("latent", latent), ("data", data), ("local", data)):
            amount = amounts.get(f"{kind}_{view.model.name}")
            if amount is not None:
                parts += amount[:, None] * (shares @ ownership)
    if "elbo" in amounts:
        parts += amounts["elbo"][:, None] * _nll_shares(examination)
    return parts


def _view_shares(view: ViewExamination) -> tuple[Floats, Floats]:
    """Return the features' shares in the latent and in the data-space distance, each (N, D)."""
    rows = view.viewed.astype(np.float64)
    exemplars = view.model.data.vectors
    data = distance_shares(rows, exemplars[view.near.data.index].astype(np.float64))
    latent = _latent_shares(view, exemplars[view.near.latent.index])
    none = ~(view.near.latent.distance.sum(axis=1) > 0.0)
    latent[none] = data[none]  # the row is its own exemplar
    return latent, data


def _latent_shares(view: ViewExamination, exemplars: Floats32) -> Floats:
    """Split the mean latent distance to the exemplars (N, k, D) by integrated gradients."""
    n, k, d = exemplars.shape
    network = view.model.network
    rows = torch.from_numpy(np.repeat(view.viewed, k, axis=0))
    start = torch.from_numpy(exemplars.reshape(n * k, d))
    spread = torch.from_numpy(view.model.spread.astype(np.float32))
    with torch.no_grad():
        goal = network.encode(start)[0] / spread

    def squared_distance(points: torch.Tensor) -> torch.Tensor:
        repeats = len(points) // len(goal)
        return (network.encode(points)[0] / spread - goal.repeat(repeats, 1)).square().sum(1)

    parts = integrated_gradients(squared_distance, rows, start)
    distance = np.sqrt(np.maximum(parts.sum(axis=1, keepdims=True), 1e-30))
    mean = (parts / distance).reshape(n, k, d).mean(axis=1)
    total = mean.sum(axis=1, keepdims=True)
    return np.asarray(mean / np.where(total > 0.0, total, 1.0))


def _nll_shares(examination: TableExamination) -> Floats:
    owners = _target_ownership(examination)
    nll = examination.evidence.nll_per_dim
    return excess_shares(nll, examination.model.typical_nll) @ owners


def _of_likelihood(examination: TableExamination) -> Floats:
    """Split reconstruction, KL, ELBO or importance-weighted NLL, nats."""
    owners, score = _target_ownership(examination), examination.model.score
    parts = np.zeros((len(examination), owners.shape[1]))
    if score in ("reconstruction", "elbo", "iw_nll"):
        parts += examination.evidence.nll_per_dim @ owners
    if score in ("kl", "elbo", "iw_nll"):
        parts += _kl_parts(examination.main) @ examination.model.encoder.ownership()
    return parts


def _kl_parts(view: ViewExamination) -> Floats:
    """Split the KL over the features, from the training mean as baseline."""
    viewed = torch.from_numpy(view.viewed)
    return integrated_gradients(view.model.network.kl, viewed, torch.zeros_like(viewed))


def _target_ownership(examination: TableExamination) -> Floats:
    """Return the share of each target that belongs to each column, (n_targets, columns)."""
    encoder, layout = examination.model.encoder, examination.main.model.network.layout
    gaussian = encoder.ownership()[list(layout.gaussian)]
    if not layout.classes:
        return gaussian
    coded = np.zeros((len(layout.classes), len(encoder.columns)))
    coded[np.arange(len(coded)), list(encoder.discrete)] = 1.0
    return np.concatenate([gaussian, coded])


def distance_shares(rows: Floats, exemplars: Floats) -> Floats:
    """Split the mean distance to the nearest exemplars (N, k, D) over the features.

    The shares (N, D) are at least 0 and sum to 1 in each row; equal where a row is its own
    neighbour in everything.
    """
    squared = np.square(rows[:, None, :] - exemplars)  # (N, k, D)
    distance = np.sqrt(squared.sum(axis=2, keepdims=True))
    parts = squared / np.where(distance > 0.0, distance, 1.0)
    return normalised_shares(parts.mean(axis=1))


def excess_shares(values: Floats, typical: Floats) -> Floats:
    """Split by how far each non-negative part (N, D) exceeds what is typical of it, (D,).

    The shares (N, D) are at least 0 and sum to 1 in each row; equal where nothing exceeds.
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
    """Split ``value(row) - value(baseline)`` over the features, (N, D), in the unit of the value.

    ``value`` goes from (n, D) to (n,), each result from its own row alone. The parts sum to the
    difference in each row.
    """
    places = (torch.arange(_STEPS) + 0.5) / _STEPS
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
