"""Are the latents alive? A forecast from the training rows, and a count after training."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from vae_anomaly.detectors._tabular_scorer import ViewScorer, encode
from vae_anomaly.diagnostics import ACTIVE_VARIANCE, CollapseForecast, predict_collapse

__all__ = ["forewarn", "latent_health"]

logger = logging.getLogger(__name__)
START_SIGMA2 = 1.0  # of a standardised feature, before anything is learned


def latent_health(scorer: ViewScorer, rows: NDArray[np.float32], beta: float) -> dict[str, float]:
    """Count the latents that are active, and those that theory expects to be.

    Parameters
    ----------
    scorer : ViewScorer
        Trained.
    rows : ndarray of shape (N, D), float32
        Training rows as it shows them.
    beta : float
        Weight of the KL in training; 0 where there is none.

    Returns
    -------
    metrics : dict
        ``latents``, ``active_units`` and ``expected_active_units``. The expectation is that of a
        linear VAE whose sigma stays where it starts, at 1; a learned sigma may keep more alive.
    """
    network = scorer.vae
    expected = _forecast(rows[:, list(network.layout.gaussian)], beta, network.latent_dim)
    variance = encode(network, rows)[0].astype(np.float64).var(axis=0)
    return {
        "latents": float(network.latent_dim),
        "active_units": float(np.sum(variance > ACTIVE_VARIANCE)),
        "expected_active_units": float(expected.expected_active),
    }


def forewarn(rows: NDArray[np.float32], beta: float, latent_dim: int) -> None:
    """Log, before training, that a KL of this weight is expected to leave no latent alive.

    Called for a beta above the member's own: under that one sigma falls below its start and the
    forecast is too dark.
    """
    forecast = _forecast(rows, beta, latent_dim)
    if forecast.warning:
        logger.warning(
            "posterior collapse expected: %d of %d latents can stay active under beta=%g, as the "
            "greatest eigenvalue of the standardised rows is %.3g. Lower beta.",
            forecast.expected_active, latent_dim, beta, max(forecast.eigenvalues, default=0.0),
        )  # fmt: skip


def _forecast(rows: NDArray[np.float32], beta: float, latent_dim: int) -> CollapseForecast:
    if rows.shape[1] == 0:  # every column is categorical
        return CollapseForecast(START_SIGMA2 * beta, (), 0)
    return predict_collapse(torch.from_numpy(rows), START_SIGMA2, beta, latent_dim, warn=False)
