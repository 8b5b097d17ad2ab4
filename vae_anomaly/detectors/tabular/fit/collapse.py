"""Are the latents alive? A forecast before training, a count after it, and the other figures."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.tabular.members import MEMBERS, beta_of
from vae_anomaly.detectors.tabular.model import ViewScorer, encode
from vae_anomaly.vae.diagnostics import ACTIVE_VARIANCE, CollapseForecast, predict_collapse

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

logger = logging.getLogger(__name__)
START_SIGMA2 = 1.0  # of a standardised feature, before anything is learned


def latent_health(scorer: ViewScorer, rows: Floats32, beta: float) -> dict[str, float]:
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


def training_metrics(d: TabularVAEDetector, n_rows: int, fitted: pd.DataFrame) -> dict[str, float]:
    """Return the figures of a training on ``n_rows`` rows, of which ``fitted`` made the model."""
    last, main = d.history_.records[-1], d._scorer.main
    rows = main.look(d._scorer.encoder.transform(fitted).numbers)
    beta = beta_of(d.model, d.beta) if MEMBERS[d.model].has_prior else 0.0
    return {
        "rows": float(n_rows),
        "fit_rows": float(len(fitted)),
        "memory_rows": float(len(main.data.vectors)),
        "remembered_rows": float(main.data.n_rows),
        "held_out_rows": float(d.calibration_.n),
        "features": float(len(d._scorer.encoder.features)),
        "val_elbo": float(max(r["val_elbo"] for r in d.history_.records)),
        "val_nll": float(last["val_nll"]),
        "val_kl": float(last["val_kl"]),
        "best_step": float(d.history_.best_step),
        **latent_health(main, rows, beta),
        "threshold": float(d.threshold_.value),
        "trust_in_vae": d._scorer.trust,
        "trust_in_elbo": d._scorer.trust_in_elbo,
    }
