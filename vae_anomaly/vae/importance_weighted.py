"""A VAE that is trained on the importance-weighted bound.

References
----------
Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.model import VAE, VAEOutput
from vae_anomaly.vae.objectives import importance_weighted_nll

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from vae_anomaly.vae.likelihoods import Likelihood
    from vae_anomaly.vae.priors import Prior


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
