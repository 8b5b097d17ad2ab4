"""The variational autoencoder: four seams (encoder, decoder, likelihood, prior) and one output.

A new model is usually a new likelihood or a new prior, not a new class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.objectives import (
    clamp_logvar,
    gaussian_kl,
    gaussian_log_prob,
    importance_weighted_nll,
    negative_elbo,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from vae_anomaly.vae.likelihoods import Likelihood
    from vae_anomaly.vae.priors import Prior


@dataclass(frozen=True)
class VAEOutput:
    """What a forward pass knows about each sample; nothing is averaged over the batch.

    Attributes
    ----------
    recon : Tensor of shape (N, *x)
        Mean of the likelihood, in the data's unit.
    mean, logvar : Tensor of shape (N, Z)
        Posterior q(z | x); the log variance is clamped.
    nll : Tensor of shape (N,), nats
        -log p(x | z), summed over the data's dimensions, all constants kept.
    kl_per_dim : Tensor of shape (N, Z), nats
        KL(q(z | x) || p(z)); of shape (N, 1) where the prior does not factorise.
    """

    recon: Tensor
    mean: Tensor
    logvar: Tensor
    nll: Tensor
    kl_per_dim: Tensor

    @property
    def kl(self) -> Tensor:
        """KL of each sample, summed over the latents; (N,), nats, >= 0."""
        return self.kl_per_dim.sum(-1)

    @property
    def elbo(self) -> Tensor:
        """Evidence lower bound of each sample; (N,), nats, higher = more normal."""
        return -(self.nll + self.kl)

    def loss(self, beta: float = 1.0, free_bits: float = 0.0) -> Tensor:
        """Return what a model without a ``training_loss`` of its own minimises, a scalar."""
        return negative_elbo(self.nll, self.kl_per_dim, beta, free_bits)


def draw_gaussian(
    mean: Tensor,
    logvar: Tensor,
    generator: Generator | None = None,
    *,
    common: bool = False,
) -> Tensor:
    """Draw z ~ N(mean, exp(logvar)), both of shape (..., N, Z), such that gradients reach both.

    ``common`` uses the same noise for all N samples, so that a draw does not depend on the batch.
    """
    shape = (*mean.shape[:-2], 1, mean.shape[-1]) if common else mean.shape
    noise = torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + noise * torch.exp(0.5 * logvar)


@dataclass(frozen=True)
class Latents:
    """What a model infers about a batch; `VAE.infer` returns it.

    Attributes
    ----------
    z : Tensor of shape (N, ...)
        What the decoder is given: a draw, or the posterior mean.
    mean, logvar : Tensor of shape (N, Z)
    kl_per_dim : Tensor of shape (N, Z) or (N, 1), nats
    facts : dict
        Further fields of the model's own output class.
    """

    z: Tensor
    mean: Tensor
    logvar: Tensor
    kl_per_dim: Tensor
    facts: dict[str, Tensor] = field(default_factory=dict)


class VAE(nn.Module):
    """Variational autoencoder.

    Parameters
    ----------
    encoder : Module
        ``encoder(x) -> (mean, logvar)``, each (N, Z).
    decoder : Module
        ``decoder(z) -> params``, likelihood parameters of shape (N, *x) or (N, *x, n_params).
    likelihood : Likelihood
    prior : Prior, optional
        The standard normal when left out.

    Raises
    ------
    ConfigError
        If `latent_dim` or `n_params` of the parts differ, or, at the first batch, if what the
        decoder emits has not the target's shape: nothing is ever broadcast silently.

    Examples
    --------
    >>> from vae_anomaly.vae.likelihoods import BernoulliLikelihood
    >>> from vae_anomaly.vae.networks import MLPDecoder, MLPEncoder
    >>> vae = VAE(MLPEncoder((784,), 400, 20), MLPDecoder((784,), 400, 20), BernoulliLikelihood())
    >>> vae.eval()(torch.zeros(3, 784)).nll.shape
    torch.Size([3])
    """

    output_type: ClassVar[type[VAEOutput]] = VAEOutput

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Prior | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood, self.prior = (
            encoder,
            decoder,
            likelihood,
            prior,
        )
        if prior is not None:
            prior.bind(self.encode)
        _check_parts(self)

    def encode(self, x: Tensor, **given: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior mean and clamped log variance, each (N, Z), float32."""
        mean, logvar = self.encoder(x, **given)
        return mean.float(), clamp_logvar(logvar)

    def decode(self, z: Tensor, **given: Tensor) -> Tensor:
        """Return likelihood parameters for latents of shape (N, Z), float32."""
        params: Tensor = self.decoder(z, **given)
        return params.float()

    def kl_per_dim(self, mean: Tensor, logvar: Tensor) -> Tensor:
        """Return KL(q || prior) in nats, (N, Z) or (N, 1)."""
        if self.prior is None:
            return gaussian_kl(mean, logvar)
        return self.prior.kl(mean, logvar)

    @property
    def latent_dim(self) -> int:
        """Length of z, as encoder or decoder tell."""
        return int(getattr(self.encoder, "latent_dim", None) or self.decoder.latent_dim)  # type: ignore[arg-type]  # one of the two has it

    def infer(
        self, x: Tensor, *, drawn: bool, generator: Generator | None = None, **given: Tensor
    ) -> Latents:
        """Infer latents: a draw from the posterior, or its mean. Other models override this."""
        mean, logvar = self.encode(x, **given)
        z = draw_gaussian(mean, logvar, generator) if drawn else mean
        return Latents(z, mean, logvar, self.kl_per_dim(mean, logvar))

    def forward(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        generator: Generator | None = None,
        sample: bool | None = None,
        **given: Tensor,
    ) -> VAEOutput:
        """Encode, decode and measure.

        Parameters
        ----------
        x : Tensor of shape (N, *x)
        target : Tensor of shape (N, *x), optional
            What the likelihood is asked about; `x` itself when left out. Differs from `x` when
            the input was corrupted.
        generator : torch.Generator, optional
            Source of the noise; used only when sampling.
        sample : bool, optional
            Draw z, or take the posterior mean. None draws in training mode only: evaluation is
            deterministic.
        **given : Tensor
            Whatever else encoder and decoder take, such as ``condition``.

        Returns
        -------
        output : VAEOutput
        """
        drawn = self.training if sample is None else sample
        latents = self.infer(x, drawn=drawn, generator=generator, **given)
        params = self.decode(latents.z, **given)
        nll = self._measure(params, x if target is None else target)
        return self.output_type(
            recon=self.likelihood.mean(params),
            mean=latents.mean,
            logvar=latents.logvar,
            nll=nll.float().flatten(1).sum(1),
            kl_per_dim=latents.kl_per_dim,
            **latents.facts,
        )

    def reconstruct(self, x: Tensor, **given: Tensor) -> Tensor:
        """Return the likelihood's mean at the posterior mean, (N, *x); deterministic."""
        latents = self.infer(x, drawn=False, generator=None, **given)
        return self.likelihood.mean(self.decode(latents.z, **given))

    def nll_per_dim(self, x: Tensor, target: Tensor | None = None, **given: Tensor) -> Tensor:
        """Return -log p of each data dimension at the posterior mean, (N, *x), nats."""
        latents = self.infer(x, drawn=False, generator=None, **given)
        return self._measure(self.decode(latents.z, **given), x if target is None else target)

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n latents from the prior, in the shape that `decode` takes."""
        if self.prior is not None:
            return self.prior.sample(n, generator)
        device = next(self.parameters()).device
        return torch.randn(n, self.latent_dim, generator=generator, device=device)

    def _measure(self, params: Tensor, target: Tensor) -> Tensor:
        """Return the nll of each data dimension; refuse shapes that would silently broadcast."""
        if params.shape[: target.ndim] != target.shape:
            raise ConfigError(
                f"{type(self.likelihood).__name__} cannot compare what the decoder emits, of shape "
                f"{tuple(params.shape)}, with the target, of shape {tuple(target.shape)}. Build "
                "the decoder with out_shape equal to the shape of one target."
            )
        return self.likelihood.nll(params, target)

    def log_prior(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats, of shape (...) for z of shape (..., Z)."""
        if self.prior is None:
            return gaussian_log_prob(z, torch.zeros_like(z), torch.zeros_like(z)).sum(-1)
        return self.prior.log_prob(z)

    def importance_log_weights(
        self,
        x: Tensor,
        n_draws: int,
        *,
        generator: Generator | None = None,
        common: bool = False,
        **given: Tensor,
    ) -> Tensor:
        """Return log p(x, z) - log q(z | x) of shape (n_draws, N) for draws z ~ q, nats."""
        return self._log_weights(x, x, n_draws, generator, common, **given)

    def _log_weights(
        self,
        x: Tensor,
        target: Tensor,
        n_draws: int,
        generator: Generator | None,
        common: bool,
        **given: Tensor,
    ) -> Tensor:
        mean, logvar = self.encode(x, **given)
        wide = mean.expand(n_draws, *mean.shape)  # (L, N, Z)
        z = draw_gaussian(wide, logvar, generator, common=common)
        repeated = {
            name: value.repeat(n_draws, *[1] * (value.ndim - 1)) for name, value in given.items()
        }
        params = self.decode(z.flatten(0, 1), **repeated)
        params = params.reshape(n_draws, len(x), *params.shape[1:])
        log_px = -self.likelihood.nll(params, target.expand(n_draws, *target.shape))
        log_px = log_px.flatten(2).sum(2)
        return log_px + self.log_prior(z) - gaussian_log_prob(z, mean, logvar).sum(-1)

    @torch.no_grad()
    def iw_nll(
        self,
        x: Tensor,
        n_draws: int = 100,
        *,
        generator: Generator | None = None,
        chunk: int = 25,
        **given: Tensor,
    ) -> Tensor:
        """Estimate -log p(x) by the importance-weighted bound: (N,), nats; higher = less likely.

        Exactly ``n_draws`` draws are made; ``chunk`` of them are decoded at a time, which bounds
        the memory. With a generator they are independent for each sample. Left out, one fixed set
        of draws serves all samples: a score repeats, and does not depend on the batch it is
        computed in.
        """
        sizes = [min(chunk, n_draws - done) for done in range(0, n_draws, chunk)]
        common = generator is None
        if generator is None:
            generator = torch.Generator(next(self.parameters()).device).manual_seed(0)
        weights = [
            self.importance_log_weights(x, n, generator=generator, common=common, **given)
            for n in sizes
        ]
        return importance_weighted_nll(torch.cat(weights) if weights else x.new_empty(0, len(x)))


def _check_parts(model: VAE) -> None:
    """Name parts that do not fit each other, as far as they tell about themselves."""
    encoder, decoder = model.encoder, model.decoder
    e_dim, d_dim = getattr(encoder, "latent_dim", None), getattr(decoder, "latent_dim", None)
    if None not in (e_dim, d_dim) and e_dim != d_dim:
        raise ConfigError(
            f"Encoder and decoder must share one latent_dim; got {e_dim} and {d_dim}. "
            "Build both with the same number."
        )
    e_params, d_params = model.likelihood.n_params, getattr(decoder, "n_params", None)
    if d_params is not None and d_params != e_params:
        raise ConfigError(
            f"{type(model.likelihood).__name__} needs {e_params} numbers per data dimension; the "
            f"decoder emits {d_params}. Build the decoder with n_params={e_params}."
        )
