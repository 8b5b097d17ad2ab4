"""Are the latents alive? A forecast before training, and a count after it."""

from __future__ import annotations

import logging

import numpy as np
import torch

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.tabular.examination import ViewExamination
from vae_anomaly.vae.diagnostics import ACTIVE_VARIANCE, CollapseForecast, predict_collapse

logger = logging.getLogger(__name__)
START_SIGMA2 = 1.0  # of a standardised feature, before anything is learned


def latent_health(view: ViewExamination, beta: float) -> dict[str, float]:
    """Count the latents that are active over training rows, and those that theory expects to be.

    ``beta`` is the weight of the KL in training; 0 where there is none. The expectation is that of
    a linear VAE whose sigma stays where it starts, at 1; a learned sigma may keep more alive.
    """
    network = view.model.network
    expected = _forecast(view.viewed[:, list(network.layout.gaussian)], beta, network.latent_dim)
    variance = view.means.astype(np.float64).var(axis=0)
    return {
        "latents": float(network.latent_dim),
        "active_units": float(np.sum(variance > ACTIVE_VARIANCE)),
        "expected_active_units": float(expected.expected_active),
    }


def forewarn(rows: Floats32, beta: float, latent_dim: int) -> None:
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


def _forecast(rows: Floats32, beta: float, latent_dim: int) -> CollapseForecast:
    if rows.shape[1] == 0:  # every column is categorical
        return CollapseForecast(START_SIGMA2 * beta, (), 0)
    return predict_collapse(torch.from_numpy(rows), START_SIGMA2, beta, latent_dim, warn=False)
