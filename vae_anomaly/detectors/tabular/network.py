"""What scorers ask of a network, whichever member of the family it is.

Rows are ``(N, D)`` tensors, as a view shows them. `StackedNetwork` is one member of a stacked
`EnsembleVAE`; `vae_anomaly.detectors.tabular.family` has the other kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from vae_anomaly.arrays import Arrays
from vae_anomaly.scoring.evidence import Evidence, measure_evidence
from vae_anomaly.vae.objectives import gaussian_kl
from vae_anomaly.vae.stacked import EnsembleVAE, TargetLayout

if TYPE_CHECKING:
    from torch import Generator, Tensor


class RowNetwork(Protocol):
    """A trained network, as far as scores, explanations and reasons need it."""

    @property
    def layout(self) -> TargetLayout:
        """What the decoder is asked about."""

    @property
    def latent_dim(self) -> int:
        """Z, the length of a posterior mean."""

    @property
    def has_prior(self) -> bool:
        """Whether KL, ELBO and draws from a prior mean anything."""

    @property
    def predicts_hidden(self) -> bool:
        """Whether training hid columns, so that a hidden one can be predicted from the others."""

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return posterior means and log variances, each (N, Z); ``hidden`` (D,) are not shown."""

    def decode(self, z: Tensor, like: Tensor) -> Tensor:
        """Return the likelihood's parameters (N, n_params); ``like`` (N, D) tells a condition."""

    def kl(self, x: Tensor) -> Tensor:
        """Return the KL of each row's posterior to the prior, (N,), nats; differentiable."""

    def evidence(self, x: Tensor, target: Tensor, *, iw_draws: int = 0) -> Evidence:
        """Return reconstruction, KL and, where draws are asked for, the importance-weighted NLL."""

    def probabilities(self, params: Tensor) -> Tensor:
        """Return the probability of every class, (N, sum of classes)."""

    def sigma(self) -> Tensor:
        """Return the standard deviations of the Gaussian targets."""

    def draw_prior(self, n: int, generator: Generator) -> Tensor:
        """Draw latents from the prior, (n, Z); a network without one raises `ConfigError`."""

    def draw(self, params: Tensor, generator: Generator) -> Tensor:
        """Draw targets (N, n_targets) from the likelihood of parameters (N, n_params)."""

    def shape(self) -> dict[str, Any]:
        """Return what makes the same network again, as JSON values."""

    def weights(self) -> Arrays:
        """Return the learned arrays."""


class StackedNetwork:
    """One member of a stacked ensemble, alone.

    Parameters
    ----------
    vae : EnsembleVAE of one member
        In evaluation mode.
    predicts_hidden : bool
        Whether columns were hidden in training.
    """

    has_prior = True

    def __init__(self, vae: EnsembleVAE, *, predicts_hidden: bool = True) -> None:
        self.vae, self.predicts_hidden = vae, predicts_hidden
        self.likelihood = vae.likelihood

    @property
    def layout(self) -> TargetLayout:
        """What the decoder is asked about."""
        return self.vae.layout

    @property
    def latent_dim(self) -> int:
        """Z, the length of a posterior mean."""
        return self.vae.latent_dim

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return posterior means and log variances, each (N, Z)."""
        if hidden is not None:
            kept = torch.where(hidden, torch.zeros(()), x)
            sees = self.vae.sees_mask
            x = torch.cat([kept, hidden.float().expand_as(kept)], 1) if sees else kept
        mean, logvar = self.vae.encode(x.unsqueeze(0))
        return mean[0], logvar[0]

    def decode(self, z: Tensor, like: Tensor) -> Tensor:
        """Return the likelihood's parameters, (N, n_params)."""
        return self.vae.decode(z.unsqueeze(0))[0]

    def kl(self, x: Tensor) -> Tensor:
        """Return the KL of each row's posterior to the standard normal, (N,), nats."""
        return gaussian_kl(*self.encode(x)).sum(1)

    def evidence(self, x: Tensor, target: Tensor, *, iw_draws: int = 0) -> Evidence:
        """Return reconstruction, KL and, where draws are asked for, the importance-weighted NLL."""
        return measure_evidence(self.vae, x.unsqueeze(0), target.unsqueeze(0), iw_draws=iw_draws)

    def probabilities(self, params: Tensor) -> Tensor:
        """Return the probability of every class, (N, sum of classes)."""
        return self.likelihood.probabilities(params.unsqueeze(0))[0]

    def sigma(self) -> Tensor:
        """Return the standard deviations of the Gaussian targets."""
        return torch.exp(self.likelihood.log_sigma[0, 0])

    def draw_prior(self, n: int, generator: Generator) -> Tensor:
        """Draw latents from the standard normal, (n, Z)."""
        return torch.randn(n, self.latent_dim, generator=generator)

    def draw(self, params: Tensor, generator: Generator) -> Tensor:
        """Draw targets from the likelihood, (N, n_targets)."""
        return self.likelihood.sample(params.unsqueeze(0), generator)[0]

    def shape(self) -> dict[str, Any]:
        """Return what `from_state` needs, as JSON values."""
        vae = self.vae
        shape = {
            "n_features": vae.n_features,
            "latent_dim": vae.latent_dim,
            "hidden": vae.hidden,
            "sees_mask": vae.sees_mask,
            "gaussian": list(vae.layout.gaussian),
            "classes": list(vae.layout.classes),
        }
        return shape if self.predicts_hidden else shape | {"predicts_hidden": False}

    def weights(self) -> Arrays:
        """Return the learned arrays."""
        return {name: value.numpy() for name, value in self.vae.state_dict().items()}

    @classmethod
    def from_state(cls, shape: Mapping[str, Any], weights: Arrays) -> StackedNetwork:
        """Make the network again, in evaluation mode."""
        layout = TargetLayout(tuple(shape["gaussian"]), tuple(shape["classes"]))
        with torch.random.fork_rng(devices=[]):
            vae = EnsembleVAE(
                1, shape["n_features"], shape["latent_dim"], layout,
                hidden=shape["hidden"], sees_mask=shape["sees_mask"],
            )  # fmt: skip
        vae.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})
        return cls(vae.eval(), predicts_hidden=shape.get("predicts_hidden", True))
