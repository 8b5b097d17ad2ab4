"""Contributions of the original columns to the score of each row.

===========  ======================================================================================
term         how it is split over the features
===========  ======================================================================================
latent       integrated gradients of the squared latent distance, from each of the nearest exemplars
data, local  squared differences to the nearest exemplars
elbo         excess of each column's negative log-likelihood over its mean on held-out rows
===========  ======================================================================================

A feature's part goes to the column it was made from, in equal parts where there are two.
"""

from __future__ import annotations

import numpy as np
import torch

from vae_anomaly.arrays import Floats, Floats32
from vae_anomaly.detectors.tabular.attribution import (
    distance_shares,
    excess_shares,
    integrated_gradients,
)
from vae_anomaly.detectors.tabular.encode.table import EncodedTable, TableEncoder
from vae_anomaly.detectors.tabular.model import RowScorer, ViewScorer
from vae_anomaly.scoring.fusion import term_contributions
from vae_anomaly.vae.stacked import TargetLayout


def contributions(scorer: RowScorer, table: EncodedTable, score: str, raw: Floats) -> Floats:
    """Split raw scores over the original columns.

    Parameters
    ----------
    scorer : RowScorer
    table : EncodedTable of N rows
    score : str
        Which score `raw` is.
    raw : ndarray of shape (N,), nats

    Returns
    -------
    parts : ndarray of shape (N, columns), float64, nats
        They sum to `raw` in each row.
    """
    if score in ("fused", "latent"):
        parts = _fused(scorer, table, score)
    else:
        parts = _likelihood(scorer, table, score)
    rest = (raw - parts.sum(axis=1)) / parts.shape[1]
    return np.asarray(parts + rest[:, None])


def _fused(scorer: RowScorer, table: EncodedTable, score: str) -> Floats:
    amounts = term_contributions(*scorer.terms_of(score, table))
    ownership = scorer.encoder.ownership()
    parts = np.zeros((len(table), ownership.shape[1]))
    for one in scorer.views:
        viewed = one.look(table.numbers)
        latent, data = _view_shares(one, viewed)
        for kind, shares in (("latent", latent), ("data", data), ("local", data)):
            amount = amounts.get(f"{kind}_{one.view.name}")
            if amount is not None:
                parts += amount[:, None] * (shares @ ownership)
    if "elbo" in amounts:
        parts += amounts["elbo"][:, None] * _nll_shares(scorer, table)
    return parts


def _view_shares(scorer: ViewScorer, viewed: Floats32) -> tuple[Floats, Floats]:
    """Return the features' shares in the latent and in the data-space distance, each (N, D)."""
    near_latent, near_data = scorer.neighbours(viewed)
    rows = viewed.astype(np.float64)
    exemplars = scorer.data.vectors
    data = distance_shares(rows, exemplars[near_data.index].astype(np.float64))
    latent = _latent_shares(scorer, viewed, exemplars[near_latent.index])
    none = ~(near_latent.distance.sum(axis=1) > 0.0)
    latent[none] = data[none]  # the row is its own exemplar
    return latent, data


def _latent_shares(scorer: ViewScorer, viewed: Floats32, exemplars: Floats32) -> Floats:
    """Split the mean latent distance to the exemplars (N, k, D) by integrated gradients."""
    n, k, d = exemplars.shape
    rows = torch.from_numpy(np.repeat(viewed, k, axis=0))
    start = torch.from_numpy(exemplars.reshape(n * k, d))
    spread = torch.from_numpy(scorer.spread.astype(np.float32))
    with torch.no_grad():
        goal = scorer.vae.encode(start)[0] / spread

    def squared_distance(points: torch.Tensor) -> torch.Tensor:
        repeats = len(points) // len(goal)
        return (scorer.vae.encode(points)[0] / spread - goal.repeat(repeats, 1)).square().sum(1)

    parts = integrated_gradients(squared_distance, rows, start)
    distance = np.sqrt(np.maximum(parts.sum(axis=1, keepdims=True), 1e-30))
    mean = (parts / distance).reshape(n, k, d).mean(axis=1)
    total = mean.sum(axis=1, keepdims=True)
    return np.asarray(mean / np.where(total > 0.0, total, 1.0))


def _nll_shares(scorer: RowScorer, table: EncodedTable) -> Floats:
    nll = scorer.evidence(table).nll_per_dim
    owners = target_ownership(scorer.encoder, scorer.main.vae.layout)
    return excess_shares(nll, scorer.typical_nll) @ owners


def _likelihood(scorer: RowScorer, table: EncodedTable, score: str) -> Floats:
    """Split reconstruction, KL, ELBO or importance-weighted NLL, nats."""
    owners = target_ownership(scorer.encoder, scorer.main.vae.layout)
    parts = np.zeros((len(table), owners.shape[1]))
    if score in ("reconstruction", "elbo", "iw_nll"):
        parts += scorer.evidence(table).nll_per_dim @ owners
    if score in ("kl", "elbo", "iw_nll"):
        parts += _kl_parts(scorer, table) @ scorer.encoder.ownership()
    return parts


def _kl_parts(scorer: RowScorer, table: EncodedTable) -> Floats:
    """Split the KL over the features, from the training mean as baseline."""
    viewed = torch.from_numpy(scorer.main.look(table.numbers))
    return integrated_gradients(scorer.main.vae.kl, viewed, torch.zeros_like(viewed))


def target_ownership(encoder: TableEncoder, layout: TargetLayout) -> Floats:
    """Return the share of each target that belongs to each column, (n_targets, columns)."""
    gaussian = encoder.ownership()[list(layout.gaussian)]
    if not layout.classes:
        return gaussian
    coded = np.zeros((len(layout.classes), len(encoder.columns)))
    coded[np.arange(len(coded)), list(encoder.discrete)] = 1.0
    return np.concatenate([gaussian, coded])
