"""Members of the family that train alone: one `VAE` of `build_model` behind the scorers' protocol.

Every feature is Gaussian with a learned sigma. A conditional member takes the condition out of the
row itself: its features go to encoder and decoder, and the likelihood does not ask for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from vae_anomaly.arrays import Arrays
from vae_anomaly.scoring.evidence import Evidence
from vae_anomaly.vae.family import ModelDescription, build_model
from vae_anomaly.vae.model import VAEOutput
from vae_anomaly.vae.stacked import TargetLayout

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from vae_anomaly.vae.model import Latents

CHUNK = 16  # draws that are decoded at a time


class FamilyNetwork(nn.Module):
    """One model of the family over rows of a table.

    Parameters
    ----------
    description : ModelDescription
        Its ``in_shape`` is the number of features that are asked about.
    asked : tuple of int
        Those features.
    told : tuple of int
        Features that are the condition; empty where there is none.
    told_scale : float
        Multiplies them, so that a one-hot feature is 0 or 1.
    random_state : int
        Of the first weights.
    """

    predicts_hidden = True

    def __init__(
        self,
        description: ModelDescription,
        asked: tuple[int, ...],
        told: tuple[int, ...] = (),
        told_scale: float = 1.0,
        random_state: int = 0,
    ) -> None:
        super().__init__()
        self.description, self.told_scale = description, told_scale
        self.asked, self.told = list(asked), list(told)
        self.model = build_model(description, random_state)

    @property
    def layout(self) -> TargetLayout:
        """What the decoder is asked about: Gaussian features only."""
        return TargetLayout(tuple(self.asked))

    @property
    def latent_dim(self) -> int:
        """Length of a posterior mean; of a ladder, all layers together."""
        return self.model.latent_dim

    @property
    def has_prior(self) -> bool:
        """Whether KL, ELBO and draws from a prior mean anything: not for an autoencoder."""
        return self.description.kind != "autoencoder"

    def forward(
        self, x: Tensor, target: Tensor, *, generator: Generator | None = None
    ) -> VAEOutput:
        """Measure rows (N, D) by their targets (N, asked), as the training loop wants it."""
        rows = x[:, self.asked]
        output: VAEOutput = self.model(rows, target, generator=generator, **self._given(x))
        return output

    def training_loss(self, output: VAEOutput, beta: float, free_bits: float = 0.0) -> Tensor:
        """Return the model's own loss over the number of features: of one scale for every table."""
        loss = getattr(self.model, "training_loss", VAEOutput.loss)
        total: Tensor = loss(output, beta, free_bits)
        return total / len(self.asked)

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return posterior means and log variances, each (N, Z)."""
        rows = x if hidden is None else torch.where(hidden, torch.zeros(()), x)
        latents = self._infer(rows, self._given(x))
        return latents.mean, latents.logvar

    def decode(self, z: Tensor, like: Tensor) -> Tensor:
        """Return the means of the Gaussian features, (N, asked)."""
        return self.model.decode(z, **self._given(like))

    def kl(self, x: Tensor) -> Tensor:
        """Return the KL to the model's own prior, (N,), nats; 0 for an autoencoder."""
        return self._infer(x, self._given(x)).kl_per_dim.sum(1)

    @torch.inference_mode()
    def evidence(self, x: Tensor, target: Tensor, *, iw_draws: int = 0) -> Evidence:
        """Return reconstruction, KL to the model's own prior, and the importance-weighted NLL.

        Raises
        ------
        ConfigError
            If draws are asked of an autoencoder, which has no prior.
        """
        given = self._given(x)
        latents = self._infer(x, given)
        nll = self.model.likelihood.nll(self.model.decode(latents.z, **given), target)
        bound = None
        if iw_draws:
            rows = x[:, self.asked]
            drawn = self.model.iw_nll(rows, iw_draws, generator=None, chunk=CHUNK, **given)
            bound = drawn.double().numpy()
        return Evidence(nll.double().numpy(), latents.kl_per_dim.double().numpy(), bound)

    def probabilities(self, params: Tensor) -> Tensor:
        """Return nothing, (N, 0): there are no classes."""
        return params[:, :0]

    def sigma(self) -> Tensor:
        """Return the learned standard deviations of the features, (asked,)."""
        log_sigma: Tensor = self.model.likelihood.log_sigma  # type: ignore[assignment]  # a Parameter of this likelihood
        return torch.exp(log_sigma)

    def draw_prior(self, n: int, generator: Generator) -> Tensor:
        """Draw latents from the model's own prior, (n, Z).

        Raises
        ------
        ConfigError
            If the model is an autoencoder, which has no prior.
        """
        return self.model.draw_prior(n, generator)

    def draw(self, params: Tensor, generator: Generator) -> Tensor:
        """Draw features from the likelihood, (N, asked)."""
        return self.model.likelihood.sample(params, generator)

    def shape(self) -> dict[str, Any]:
        """Return what `from_state` needs, as JSON values."""
        return {
            "description": self.description.to_dict(),
            "asked": list(self.asked),
            "told": list(self.told),
            "told_scale": self.told_scale,
        }

    def weights(self) -> Arrays:
        """Return the learned arrays."""
        return {name: value.numpy() for name, value in self.model.state_dict().items()}

    @classmethod
    def from_state(cls, shape: Mapping[str, Any], weights: Arrays) -> FamilyNetwork:
        """Make the network again, in evaluation mode."""
        network = cls(
            ModelDescription.from_dict(shape["description"]),
            tuple(shape["asked"]),
            tuple(shape["told"]),
            float(shape["told_scale"]),
        )
        tensors = {name: torch.from_numpy(np.array(v)) for name, v in weights.items()}
        network.model.load_state_dict(tensors)
        return network.eval()

    def _infer(self, x: Tensor, given: dict[str, Tensor]) -> Latents:
        return self.model.infer(x[:, self.asked], drawn=False, generator=None, **given)

    def _given(self, x: Tensor) -> dict[str, Tensor]:
        """Return what encoder and decoder are told beside the row."""
        return {"condition": x[:, self.told] * self.told_scale} if self.told else {}
