"""Probabilistic PCA: the one VAE whose log p(x), posterior and ELBO are known exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae_anomaly.vae.likelihoods import GaussianLikelihood
from vae_anomaly.vae.model import VAE


class ExactEncoder(nn.Module):
    """Posterior of pPCA; diagonal because the columns of W are orthogonal.

    `widen` multiplies the posterior's standard deviation, to make q wrong on purpose.
    """

    def __init__(self, W: Tensor, sigma: float, widen: float = 1.0) -> None:
        super().__init__()
        precision = 1 + W.square().sum(0) / sigma**2  # (Z,)
        self.gain = W / sigma**2 / precision  # (D, Z)
        self.logvar = -precision.log() + 2 * torch.tensor(widen).log()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x @ self.gain
        return mean, self.logvar.expand_as(mean)


class LinearDecoder(nn.Module):
    def __init__(self, W: Tensor) -> None:
        super().__init__()
        self.W = W

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.W.T


def make_ppca(
    n_features: int = 8, latent_dim: int = 3, sigma: float = 0.5, widen: float = 1.0
) -> tuple[VAE, Tensor]:
    """Return a VAE that is a pPCA, and its loadings W of shape (D, Z)."""
    generator = torch.Generator().manual_seed(7)
    basis, _ = torch.linalg.qr(torch.randn(n_features, latent_dim, generator=generator))
    W = basis * torch.tensor([2.0, 1.5, 1.0, 0.7, 0.5])[:latent_dim]
    likelihood = GaussianLikelihood(
        n_features, init_log_sigma=float(torch.tensor(sigma).log()), min_log_sigma=-12.0
    )
    vae = VAE(ExactEncoder(W, sigma, widen), LinearDecoder(W), likelihood).eval()
    return vae, W


def draw_data(W: Tensor, sigma: float, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, W.shape[1], generator=generator)
    return z @ W.T + sigma * torch.randn(n, W.shape[0], generator=generator)


def exact_log_prob(x: Tensor, W: Tensor, sigma: float) -> Tensor:
    """Return log N(x; 0, W W' + sigma^2), (N,), float64."""
    W = W.double()
    covariance = W @ W.T + sigma**2 * torch.eye(len(W), dtype=torch.float64)
    zero = torch.zeros(len(W), dtype=torch.float64)
    return torch.distributions.MultivariateNormal(zero, covariance).log_prob(x.double())
