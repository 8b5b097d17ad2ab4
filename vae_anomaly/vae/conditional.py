"""A VAE that is told what it looks at, so that a change of product is no alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.vae.model import VAE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vae_anomaly.vae.likelihoods import Likelihood
    from vae_anomaly.vae.priors import Prior


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
