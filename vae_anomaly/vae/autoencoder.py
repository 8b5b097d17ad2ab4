"""The plain autoencoder: the baseline that a VAE must be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.model import VAE, Latents
from vae_anomaly.vae.objectives import LOGVAR_LOW

if TYPE_CHECKING:
    from torch import Generator, Tensor


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
