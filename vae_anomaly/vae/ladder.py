"""The ladder VAE: a hierarchy of latents, inferred bottom-up and top-down.

The KL of a layer is taken against the **top-down prior** p(z_i | z_{i+1}), not against the
encoder's own Gaussian; only the top layer's prior is the standard normal.

References
----------
Sonderby et al., Ladder Variational Autoencoders, 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.model import VAE, Latents, VAEOutput, draw_gaussian
from vae_anomaly.vae.networks import MLPDecoder, mlp
from vae_anomaly.vae.objectives import clamp_logvar, gaussian_kl_between, gaussian_log_prob

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from vae_anomaly.vae.likelihoods import Likelihood

Gaussian = tuple["Tensor", "Tensor"]  # mean and log variance


@dataclass(frozen=True)
class LadderOutput(VAEOutput):
    """Output of a `LadderVAE`; latents are concatenated, the layer next to the data first.

    Attributes
    ----------
    kl_per_layer : Tensor of shape (N, layers), nats
        Sums to `kl`.
    """

    kl_per_layer: Tensor


@dataclass(frozen=True)
class _Rung:
    """One layer after inference: its draw, posterior and top-down prior."""

    z: Tensor
    posterior: Gaussian
    prior: Gaussian

    @property
    def kl(self) -> Tensor:
        return gaussian_kl_between(*self.posterior, *self.prior)

    @property
    def log_ratio(self) -> Tensor:
        """Return log p(z) - log q(z), (N,) or (L, N)."""
        log_p = gaussian_log_prob(self.z, *self.prior)
        log_q = gaussian_log_prob(self.z, *self.posterior)
        return (log_p - log_q).sum(-1)


class _GaussianHead(nn.Module):
    """A small network that ends in mean and clamped log variance."""

    def __init__(self, n_in: int, hidden: int | None, latent_dim: int) -> None:
        super().__init__()
        self.body = mlp((n_in,) if hidden is None else (n_in, hidden))
        self.head = nn.Linear(n_in if hidden is None else hidden, 2 * latent_dim)

    def forward(self, h: Tensor) -> Gaussian:
        mean, logvar = self.head(self.body(h)).chunk(2, dim=-1)
        return mean.float(), clamp_logvar(logvar)


class LadderVAE(VAE):
    """Hierarchical VAE for data of any shape, with dense layers.

    Parameters
    ----------
    in_shape : tuple of int
        Shape of one sample, without the batch.
    likelihood : Likelihood
    latent_dims : sequence of int
        Latents of each layer, the one next to the data first.
    hidden : sequence of int
        Widths of the deterministic layers, one for each latent layer.
    """

    output_type: ClassVar[type[VAEOutput]] = LadderOutput

    def __init__(
        self,
        in_shape: Sequence[int],
        likelihood: Likelihood,
        latent_dims: Sequence[int] = (32, 16, 8),
        hidden: Sequence[int] = (256, 128, 64),
    ) -> None:
        if not latent_dims or len(latent_dims) != len(hidden):
            raise ConfigError(
                "A ladder needs one hidden width for each latent layer, and at least one layer; "
                f"got latent_dims={tuple(latent_dims)} and hidden={tuple(hidden)}."
            )
        bottom_up, n_in = nn.ModuleList(), int(torch.Size(in_shape).numel())
        for width in hidden:
            bottom_up.append(mlp((n_in, width)))
            n_in = width
        decoder = MLPDecoder(in_shape, hidden[0], latent_dims[0], n_params=likelihood.n_params)
        super().__init__(bottom_up, decoder, likelihood)
        self.in_shape, self.latent_dims = tuple(in_shape), tuple(latent_dims)
        layers = list(zip(hidden, latent_dims, strict=True))
        self.heads = nn.ModuleList(_GaussianHead(width, None, z) for width, z in layers)
        self.priors = nn.ModuleList(
            _GaussianHead(above, width, z)
            for (width, z), above in zip(layers[:-1], latent_dims[1:], strict=True)
        )

    @property
    def latent_dim(self) -> int:
        """Number of latents in all layers together."""
        return sum(self.latent_dims)

    def climb(
        self,
        x: Tensor,
        *,
        drawn: bool,
        generator: Generator | None = None,
        n_draws: int | None = None,
        common: bool = False,
    ) -> list[_Rung]:
        """Infer all layers: evidence bottom-up, then posteriors top-down; bottom layer first.

        With `n_draws` every tensor has the draws in front, (L, N, ...); `common` as in
        `draw_gaussian`.
        """
        h, evidence = x.flatten(1), []
        for block, head in zip(self.encoder.children(), self.heads, strict=True):
            h = block(h)
            evidence.append(head(h))
        if n_draws is not None:
            evidence = [(m.expand(n_draws, *m.shape), lv) for m, lv in evidence]
        top_mean, top_logvar = evidence[-1]
        prior = (torch.zeros_like(top_mean), torch.zeros_like(top_logvar))
        rungs: list[_Rung] = []
        for layer in reversed(range(len(evidence))):
            posterior = evidence[layer]
            if rungs:
                prior = self.priors[layer](rungs[-1].z)
                posterior = _merge(evidence[layer], prior)
            z = posterior[0]
            if drawn:
                z = draw_gaussian(z, posterior[1], generator, common=common)
            rungs.append(_Rung(z, posterior, prior))
        return rungs[::-1]

    def encode(self, x: Tensor, **given: Tensor) -> Gaussian:
        """Return mean and log variance of all layers, each (N, sum of latent_dims)."""
        rungs = self.climb(x, drawn=False)
        means, logvars = zip(*(rung.posterior for rung in rungs), strict=True)
        return torch.cat(means, -1), torch.cat(logvars, -1)

    def decode(self, z: Tensor, **given: Tensor) -> Tensor:
        """Return likelihood parameters; of all latents only the bottom layer's are read."""
        return super().decode(z[:, : self.latent_dims[0]])

    def infer(
        self, x: Tensor, *, drawn: bool, generator: Generator | None = None, **given: Tensor
    ) -> Latents:
        """Infer every layer."""
        rungs = self.climb(x, drawn=drawn, generator=generator)
        means, logvars = zip(*(rung.posterior for rung in rungs), strict=True)
        kls = [rung.kl for rung in rungs]
        facts = {"kl_per_layer": torch.stack([kl.sum(-1) for kl in kls], dim=-1)}
        z = torch.cat([rung.z for rung in rungs], -1)
        return Latents(z, torch.cat(means, -1), torch.cat(logvars, -1), torch.cat(kls, -1), facts)

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw from the top layer down; (n, sum of latent_dims)."""
        device = next(self.parameters()).device
        z = torch.randn(n, self.latent_dims[-1], generator=generator, device=device)
        drawn = [z]
        for prior in reversed(list(self.priors)):
            mean, logvar = prior(drawn[-1])
            drawn.append(draw_gaussian(mean, logvar, generator))
        return torch.cat(drawn[::-1], -1)

    def importance_log_weights(
        self,
        x: Tensor,
        n_draws: int,
        *,
        generator: Generator | None = None,
        common: bool = False,
        **given: Tensor,
    ) -> Tensor:
        """Return log p(x, z) - log q(z | x) over all layers, (n_draws, N), nats."""
        rungs = self.climb(x, drawn=True, generator=generator, n_draws=n_draws, common=common)
        params = self.decode(rungs[0].z.flatten(0, 1))
        params = params.reshape(n_draws, len(x), *params.shape[1:])
        nll = self.likelihood.nll(params, x.expand(n_draws, *x.shape)).flatten(2).sum(2)
        return torch.stack([rung.log_ratio for rung in rungs]).sum(0) - nll


def _merge(evidence: Gaussian, prior: Gaussian) -> Gaussian:
    """Multiply two Gaussians: precisions add, means are averaged by precision."""
    (mean_e, logvar_e), (mean_p, logvar_p) = evidence, prior
    logvar = -torch.logaddexp(-logvar_e, -logvar_p)
    mean = torch.exp(logvar - logvar_e) * mean_e + torch.exp(logvar - logvar_p) * mean_p
    return mean, clamp_logvar(logvar)
