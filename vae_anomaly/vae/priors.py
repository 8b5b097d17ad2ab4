"""Priors p(z): where latents of normal data are expected, in nats.

Every prior offers `kl`, `log_prob` and `sample`. For the standard normal `kl` is exact and per
dimension. A mixture has no closed form; `kl` is then the deterministic upper bound

    KL(q || sum_k w_k p_k) <= -log sum_k w_k exp(-KL(q || p_k)),

so that the ELBO stays a lower bound on log p(x) and a score is the same at every call. (A
Monte-Carlo estimate would be neither.)

References
----------
Hershey and Olsen, Approximating the Kullback Leibler Divergence Between Gaussian Mixture Models,
2007, section 7.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from vae_anomaly.errors import ConfigError, check_parameter
from vae_anomaly.vae.objectives import (
    clamp_logvar,
    gaussian_kl,
    gaussian_kl_between,
    gaussian_log_prob,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

Encode = Callable[["Tensor"], "tuple[Tensor, Tensor]"]


class Prior(nn.Module, ABC):
    """Distribution of the latents of normal data."""

    @abstractmethod
    def kl(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """Return KL(N(mean, exp(logvar)) || p) in nats, exact or an upper bound.

        Shape (N, Z), as the mean, or (N, 1) where the prior does not factorise.
        """

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z), exact, of shape (...) for z of shape (..., Z); nats."""

    @abstractmethod
    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents, of shape (n, Z)."""

    def bind(self, encode: Encode) -> None:
        """Learn how the model encodes; the VAE calls this once."""


class StandardNormalPrior(Prior):
    """N(0, 1) in every latent dimension."""

    place: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.register_buffer("place", torch.zeros(()), persistent=False)  # knows the device

    def kl(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """Return the exact KL of each dimension, (N, Z)."""
        return gaussian_kl(mean, logvar)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the exact log density."""
        zero = torch.zeros_like(z)
        return gaussian_log_prob(z, zero, zero).sum(-1)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents."""
        return torch.randn(n, self.latent_dim, generator=generator, device=self.place.device)


class _MixturePrior(Prior):
    """Weighted Gaussians with diagonal covariance; subclasses say which."""

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights (M,), means (M, Z) and log variances (M, Z)."""
        raise NotImplementedError

    def kl(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """Return the upper bound on the KL, (N, 1)."""
        log_w, means, logvars = self.components()
        parts = gaussian_kl_between(mean.unsqueeze(-2), logvar.unsqueeze(-2), means, logvars)
        each = parts.sum(-1)  # (N, M)
        return -torch.logsumexp(log_w - each, dim=-1, keepdim=True)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return the exact log density of the mixture."""
        log_w, means, logvars = self.components()
        each = gaussian_log_prob(z.unsqueeze(-2), means, logvars).sum(-1)  # (..., M)
        return torch.logsumexp(log_w + each, dim=-1)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents: first a component, then from it."""
        log_w, means, logvars = self.components()
        chosen = torch.multinomial(log_w.exp(), n, replacement=True, generator=generator)
        noise = torch.randn(n, means.shape[-1], generator=generator, device=means.device)
        return means[chosen] + noise * torch.exp(0.5 * logvars[chosen])


class GaussianMixturePrior(_MixturePrior):
    """Mixture of Gaussians, learned together with the network.

    Parameters
    ----------
    latent_dim : int
    n_components : int
    spread : float
        Standard deviation of the first means around 0.
    generator : torch.Generator, optional
        Source of the first means; seed 0 when left out.
    """

    def __init__(
        self,
        latent_dim: int,
        n_components: int = 10,
        *,
        spread: float = 1.0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        check_parameter(n_components > 0, self, "n_components", "at least 1", n_components)
        generator = generator or torch.Generator().manual_seed(0)
        start = spread * torch.randn(n_components, latent_dim, generator=generator)
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(start)
        self.logvars = nn.Parameter(torch.zeros(n_components, latent_dim))

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights (M,), means (M, Z) and log variances (M, Z)."""
        return torch.log_softmax(self.logits.float(), 0), self.means, clamp_logvar(self.logvars)


class VampPrior(_MixturePrior):
    """Mixture of the posteriors of learned pseudo-inputs: a small aggregated posterior.

    Parameters
    ----------
    pseudo_inputs : Tensor of shape (M, *x)
        Where to start; some of the training samples serve well.

    References
    ----------
    Tomczak and Welling, VAE with a VampPrior, 2018.
    """

    pseudo_inputs: Tensor

    def __init__(self, pseudo_inputs: Tensor) -> None:
        super().__init__()
        n = len(pseudo_inputs)
        check_parameter(n > 0, self, "pseudo_inputs", "at least 1", n)
        self._hold(pseudo_inputs.detach().float().clone())
        self._encode: Encode | None = None

    def _hold(self, start: Tensor) -> None:
        self.pseudo_inputs = nn.Parameter(start)

    def bind(self, encode: Encode) -> None:
        """Remember the model's encoder (not registered here: the model owns its weights)."""
        self._encode = encode

    def components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights (M,), means (M, Z) and log variances (M, Z)."""
        if self._encode is None:
            raise ConfigError(
                f"{type(self).__name__} has no encoder yet; got no call of bind(). "
                "Pass the prior to a VAE, which binds it."
            )
        means, logvars = self._encode(self.pseudo_inputs)
        log_w = means.new_full((len(means),), 1 / len(means)).log()
        return log_w, means, logvars


class ExemplarPrior(VampPrior):
    """Mixture of the posteriors of fixed samples: the aggregated posterior over exemplars.

    Parameters
    ----------
    pseudo_inputs : Tensor of shape (M, *x)
        Normal samples, kept as they are.

    References
    ----------
    Norouzi, Fleet and Norouzi, Exemplar VAE, 2020.
    """

    def _hold(self, start: Tensor) -> None:
        self.register_buffer("pseudo_inputs", start)
