"""What a VAE says about a row or an image, in nats: reconstruction, KL, ELBO, importance weighting.

All of it is deterministic. The posterior mean is used throughout; the importance-weighted bound
draws the same standard normal numbers for every sample: its value does not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.vae.objectives import gaussian_kl, gaussian_log_prob, importance_weighted_nll

if TYPE_CHECKING:
    from torch import Tensor

    from vae_anomaly.vae.stacked import EnsembleVAE


@dataclass(frozen=True)
class Evidence:
    """Evidence of N samples, nats.

    Parameters
    ----------
    nll_per_dim : ndarray of shape (N, D), float64
        -log p(x_j | z) at the posterior mean; higher = more anomalous.
    kl_per_dim : ndarray of shape (N, Z), float64
        KL(q(z | x) || p(z)) of each latent; higher = more anomalous.
    iw_nll : ndarray of shape (N,), float64, or None
        Importance-weighted estimate of -log p(x); higher = more anomalous.
    """

    nll_per_dim: Floats
    kl_per_dim: Floats
    iw_nll: Floats | None = None

    @property
    def reconstruction_nll(self) -> Floats:
        """-log p(x | z) at the posterior mean, shape (N,), nats; higher = more anomalous."""
        return np.asarray(self.nll_per_dim.sum(axis=1))

    @property
    def kl(self) -> Floats:
        """KL of the posterior to the prior, shape (N,), nats; higher = more anomalous."""
        return np.asarray(self.kl_per_dim.sum(axis=1))

    @property
    def elbo(self) -> Floats:
        """Lower bound of log p(x), shape (N,), nats; **higher = more normal**."""
        return -(self.reconstruction_nll + self.kl)

    def take(self, rows: Ints) -> Evidence:
        """Return the evidence of some samples."""
        bound = None if self.iw_nll is None else self.iw_nll[rows]
        return Evidence(self.nll_per_dim[rows], self.kl_per_dim[rows], bound)


@torch.inference_mode()
def measure_evidence(
    model: EnsembleVAE,
    x: Tensor,
    target: Tensor | None = None,
    *,
    iw_draws: int = 0,
    random_state: int = 0,
) -> Evidence:
    """Measure all evidence of samples of shape (N, D), or (1, N, D) for an ensemble of one.

    The model is in evaluation mode, its prior the standard normal; any encoder, decoder and
    likelihood would do. They are asked about ``target``, or ``x`` without it. ``iw_draws``
    draws, with their own seed, make the importance-weighted bound; 0 leaves it out.
    """
    wanted = x if target is None else target
    mean, logvar = model.encode(x)
    nll = model.likelihood.nll(model.decode(mean), wanted)
    bound = None
    if iw_draws > 0:
        bound = _numbers(_iw_nll(model, mean, logvar, wanted, iw_draws, random_state), mean).ravel()
    return Evidence(_numbers(nll, mean), _numbers(gaussian_kl(mean, logvar), mean), bound)


def _iw_nll(
    model: EnsembleVAE, mean: Tensor, logvar: Tensor, target: Tensor, n_draws: int, seed: int
) -> Tensor:
    """Estimate -log p(x) with one and the same set of draws for every sample."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_draws, mean.shape[-1], generator=generator)
    weights = []
    for eps in noise:  # (Z,)
        z = mean + eps * torch.exp(0.5 * logvar)
        log_px = -model.likelihood.nll(model.decode(z), target).sum(-1)
        zero = torch.zeros_like(z)
        log_ratio = gaussian_log_prob(z, zero, zero) - gaussian_log_prob(z, mean, logvar)
        weights.append(log_px + log_ratio.sum(-1))
    return importance_weighted_nll(torch.stack(weights))


def _numbers(values: Tensor, like: Tensor) -> Floats:
    """Return float64 without the members' axis."""
    if like.ndim == 3:
        values = values.squeeze(0)
    return values.double().numpy()
