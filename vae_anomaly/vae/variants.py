"""Members that are the VAE but for one method: without a prior, conditional, trained on the bound.

`AutoEncoder` is the baseline that a VAE must be compared with; `ConditionalVAE` knows what it
looks at, so that a change of product is no alarm; `ImportanceWeightedVAE` minimises the
importance-weighted bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.vae.model import VAE, Latents, VAEOutput
from vae_anomaly.vae.objectives import LOGVAR_LOW, importance_weighted_nll

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from vae_anomaly.vae.likelihoods import Likelihood
    from vae_anomaly.vae.priors import Prior


class AutoEncoder(VAE):
    """Deterministic code, no prior, KL of zero; everything else is the VAE's.

    Scorers and reports take it in the VAE's place: `mean` is the code, `logvar` the smallest
    value there is, and ``nll`` the reconstruction term. There is no ELBO to speak of: ``elbo`` is
    just ``-nll``; an importance-weighted bound and draws from the prior are refused.

    Parameters
    ----------
    encoder, decoder, likelihood
        As for `VAE`; the encoder's log variance is not used.
    """

    def infer(
        self, x: Tensor, *, drawn: bool, generator: Generator | None = None, **given: Tensor
    ) -> Latents:
        """Return the code itself, drawn or not."""
        code, _ = self.encode(x, **given)
        return Latents(code, code, torch.full_like(code, LOGVAR_LOW), torch.zeros_like(code))

    def importance_log_weights(
        self,
        x: Tensor,
        n_draws: int,
        *,
        generator: Generator | None = None,
        common: bool = False,
        **given: Tensor,
    ) -> Tensor:
        """Refuse: without a prior there is no bound."""
        raise self._no_prior("an importance-weighted bound")

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Refuse: without a prior there is nothing to draw from."""
        raise self._no_prior("drawing from the prior")

    @staticmethod
    def _no_prior(what: str) -> ConfigError:
        return ConfigError(
            f"An autoencoder has no prior, which {what} needs; got an AutoEncoder. Use a VAE, or "
            "fit a sampler to the codes (vae_anomaly.vae.latents)."
        )


class ConditionalVAE(VAE):
    """Encoder and decoder both see the condition; what it explains, z need not.

    Parameters
    ----------
    encoder, decoder, likelihood, prior
        As for `VAE`; both networks built with ``condition_dim=n_conditions``.
    n_conditions : int
        Conditions are codes 0 .. n_conditions - 1: operating modes, product types, machines.

    Notes
    -----
    Every method takes ``condition``: an integer Tensor of shape (N,), or a float Tensor of shape
    (N, n_conditions) that says it as numbers: one-hot, or all 0 for a condition never seen.

    References
    ----------
    Sohn, Lee and Yan, Learning Structured Output Representation using Deep Conditional Generative
    Models, 2015.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        n_conditions: int,
        prior: Prior | None = None,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, prior)
        if n_conditions < 1:
            raise ConfigError(
                "The 'n_conditions' parameter of ConditionalVAE must be an int >= 1. "
                f"Got {n_conditions}."
            )
        self.n_conditions = n_conditions

    def encode(self, x: Tensor, **given: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior mean and log variance of x under its condition, each (N, Z)."""
        return super().encode(x, condition=self._one_hot(given, len(x)))

    def decode(self, z: Tensor, **given: Tensor) -> Tensor:
        """Return likelihood parameters of z under a condition."""
        return super().decode(z, condition=self._one_hot(given, len(z)))

    def _one_hot(self, given: dict[str, Tensor], n: int) -> Tensor:
        """Check the codes and spread them, (N, n_conditions)."""
        codes = given.get("condition")
        if codes is None:
            raise DataError(
                "ConditionalVAE needs to know the condition of each sample; got none. "
                f"Pass condition= with {n} codes in 0 .. {self.n_conditions - 1}."
            )
        if codes.is_floating_point():
            return self._numbers(codes, n)
        unknown = codes[(codes < 0) | (codes >= self.n_conditions)]
        if len(unknown):
            raise DataError(
                f"Known conditions are 0 .. {self.n_conditions - 1}; got "
                f"{sorted(set(unknown.tolist()))[:5]}. Train with samples of the new condition, "
                "or leave these out."
            )
        return F.one_hot(codes.long(), self.n_conditions).to(torch.float32)

    def _numbers(self, condition: Tensor, n: int) -> Tensor:
        """Take a condition that is numbers already, if its shape is right."""
        if condition.shape != (n, self.n_conditions):
            raise DataError(
                f"A condition in numbers has the shape ({n}, {self.n_conditions}); got "
                f"{tuple(condition.shape)}. Pass one number for each condition of each sample."
            )
        return condition.to(torch.float32)


@dataclass(frozen=True)
class ImportanceWeightedOutput(VAEOutput):
    """Output of an `ImportanceWeightedVAE`.

    Attributes
    ----------
    bound : Tensor of shape (N,), nats
        -log of the mean importance weight in training; in evaluation mode, where nothing is
        drawn, the negative ELBO at the posterior mean.
    """

    bound: Tensor


class ImportanceWeightedVAE(VAE):
    """VAE whose training loss is the bound itself, logsumexp and all.

    Parameters
    ----------
    encoder, decoder, likelihood, prior
        As for `VAE`.
    n_draws : int, >= 1
        Draws for each sample and step; 1 is the ordinary VAE with a sampled KL.

    References
    ----------
    Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Prior | None = None,
        *,
        n_draws: int = 8,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, prior)
        if n_draws < 1:
            raise ConfigError(
                "The 'n_draws' parameter of ImportanceWeightedVAE must be an int >= 1. "
                f"Got {n_draws}."
            )
        self.n_draws = n_draws

    def forward(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        generator: Generator | None = None,
        sample: bool | None = None,
        **given: Tensor,
    ) -> ImportanceWeightedOutput:
        """Measure as a VAE does, and add the bound."""
        output = super().forward(x, target, generator=generator, sample=sample, **given)
        bound = output.nll + output.kl
        if self.training if sample is None else sample:
            wanted = x if target is None else target
            weights = self._log_weights(x, wanted, self.n_draws, generator, False, **given)
            bound = importance_weighted_nll(weights)
        return ImportanceWeightedOutput(**vars(output), bound=bound)

    def training_loss(
        self, output: ImportanceWeightedOutput, beta: float = 1.0, free_bits: float = 0.0
    ) -> Tensor:
        """Return the mean bound, nats; without a separate KL, beta and free bits do not apply."""
        return output.bound.mean()
