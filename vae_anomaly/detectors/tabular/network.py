"""The networks of a table detector: what is asked of one, whichever member of the family it is.

Rows are ``(N, D)`` tensors, as a view shows them. `StackedNetwork` is one member of a stacked
`EnsembleVAE`; `FamilyNetwork` holds one `VAE` of `build_model`, for members that train alone.

Networks see chunks of a fixed size, padded with zeros: a row gets the same numbers alone and in any
batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import nn

from vae_anomaly.arrays import Arrays, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.errors import DataError
from vae_anomaly.scoring.evidence import Evidence, measure_evidence
from vae_anomaly.state import Json, check_sizes
from vae_anomaly.vae.family import ModelDescription, build_model
from vae_anomaly.vae.model import VAEOutput
from vae_anomaly.vae.objectives import gaussian_kl
from vae_anomaly.vae.stacked import EnsembleVAE, TargetLayout

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from vae_anomaly.vae.model import Latents

_CHUNK = 512  # rows that a network sees at once; always this many
DRAW_CHUNK = 16  # draws that a member of the family decodes at a time


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

    def shape(self) -> Json:
        """Return what makes the same network again, as JSON values."""

    def weights(self) -> Arrays:
        """Return the learned arrays."""


class StackedNetwork:
    """One member of a stacked ensemble, alone, in evaluation mode."""

    has_prior = True

    def __init__(self, vae: EnsembleVAE, *, predicts_hidden: bool = True) -> None:
        self.vae, self.predicts_hidden = vae, predicts_hidden
        self.likelihood, self.layout, self.latent_dim = vae.likelihood, vae.layout, vae.latent_dim

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return posterior means and log variances, each (N, Z)."""
        if hidden is not None:
            visible = torch.where(hidden, torch.zeros(()), x)
            sees = self.vae.sees_mask
            x = torch.cat([visible, hidden.float().expand_as(visible)], 1) if sees else visible
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

    def shape(self) -> Json:
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
    def from_state(cls, shape: Json, weights: Arrays) -> StackedNetwork:
        """Make the network again, in evaluation mode."""
        layout = TargetLayout(tuple(shape["gaussian"]), tuple(shape["classes"]))
        check_sizes({n: shape[n] for n in ("n_features", "latent_dim", "hidden")}, weights)
        _check_places(layout.gaussian, shape["n_features"])
        with torch.random.fork_rng(devices=[]):
            vae = EnsembleVAE(
                1, shape["n_features"], shape["latent_dim"], layout,
                hidden=shape["hidden"], sees_mask=shape["sees_mask"],
            )  # fmt: skip
        vae.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})
        return cls(vae.eval(), predicts_hidden=shape.get("predicts_hidden", True))


class FamilyNetwork(nn.Module):
    """One model of the family over rows of a table; every feature is Gaussian with a learned sigma.

    A conditional member takes the condition out of the row itself: the columns ``condition`` go to
    encoder and decoder, and the likelihood asks for the others, ``features``. The scale multiplies
    the condition, so that a one-hot column is 0 or 1.
    """

    predicts_hidden = True

    def __init__(
        self,
        description: ModelDescription,
        features: tuple[int, ...],
        condition: tuple[int, ...] = (),
        condition_scale: float = 1.0,
        random_state: int = 0,
    ) -> None:
        super().__init__()
        self.description, self.condition_scale = description, condition_scale
        self.features, self.condition = list(features), list(condition)
        self.layout = TargetLayout(tuple(features))  # Gaussian features only
        self.model = build_model(description, random_state)
        self.latent_dim = self.model.latent_dim  # of a ladder, all layers together
        self.has_prior = description.kind != "autoencoder"

    def forward(
        self, x: Tensor, target: Tensor, *, generator: Generator | None = None
    ) -> VAEOutput:
        """Measure rows (N, D) by their targets (N, features), as the training loop wants it."""
        rows = x[:, self.features]
        output: VAEOutput = self.model(rows, target, generator=generator, **self._given(x))
        return output

    def training_loss(self, output: VAEOutput, beta: float, free_bits: float = 0.0) -> Tensor:
        """Return the model's own loss over the number of features: of one scale for every table."""
        loss = getattr(self.model, "training_loss", VAEOutput.loss)
        total: Tensor = loss(output, beta, free_bits)
        return total / len(self.features)

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return posterior means and log variances, each (N, Z)."""
        rows = x if hidden is None else torch.where(hidden, torch.zeros(()), x)
        latents = self._infer(rows, self._given(x))
        return latents.mean, latents.logvar

    def decode(self, z: Tensor, like: Tensor) -> Tensor:
        """Return the means of the Gaussian features, (N, features)."""
        return self.model.decode(z, **self._given(like))

    def kl(self, x: Tensor) -> Tensor:
        """Return the KL to the model's own prior, (N,), nats; 0 for an autoencoder."""
        return self._infer(x, self._given(x)).kl_per_dim.sum(1)

    @torch.inference_mode()
    def evidence(self, x: Tensor, target: Tensor, *, iw_draws: int = 0) -> Evidence:
        """Return reconstruction, KL to the model's own prior, and the importance-weighted NLL.

        An autoencoder, which has no prior, raises `ConfigError` where draws are asked for.
        """
        given = self._given(x)
        latents = self._infer(x, given)
        nll = self.model.likelihood.nll(self.model.decode(latents.z, **given), target)
        bound = None
        if iw_draws:
            rows = x[:, self.features]
            drawn = self.model.iw_nll(rows, iw_draws, generator=None, chunk=DRAW_CHUNK, **given)
            bound = drawn.double().numpy()
        return Evidence(nll.double().numpy(), latents.kl_per_dim.double().numpy(), bound)

    def probabilities(self, params: Tensor) -> Tensor:
        """Return nothing, (N, 0): there are no classes."""
        return params[:, :0]

    def sigma(self) -> Tensor:
        """Return the learned standard deviations of the features, (features,)."""
        log_sigma: Tensor = self.model.likelihood.log_sigma  # type: ignore[assignment]  # a Parameter of this likelihood
        return torch.exp(log_sigma)

    def draw_prior(self, n: int, generator: Generator) -> Tensor:
        """Draw latents from the model's own prior, (n, Z)."""
        return self.model.draw_prior(n, generator)

    def draw(self, params: Tensor, generator: Generator) -> Tensor:
        """Draw features from the likelihood, (N, features)."""
        return self.model.likelihood.sample(params, generator)

    def shape(self) -> Json:
        """Return what `from_state` needs, as JSON values."""
        return {
            "description": self.description.to_dict(),
            "asked": list(self.features),
            "told": list(self.condition),
            "told_scale": self.condition_scale,
        }

    def weights(self) -> Arrays:
        """Return the learned arrays."""
        return {name: value.numpy() for name, value in self.model.state_dict().items()}

    @classmethod
    def from_state(cls, shape: Json, weights: Arrays) -> FamilyNetwork:
        """Make the network again, in evaluation mode."""
        description = ModelDescription.from_dict(shape["description"])
        sizes = {"latent_dim": description.latent_dim, "hidden": max(description.hidden)}
        check_sizes(sizes, weights)
        _check_places(shape["asked"])
        _check_places(sorted(shape["asked"] + shape["told"]))
        if description.in_shape != (len(shape["asked"]),):
            raise DataError(
                f"The network takes {description.in_shape} features and asks for "
                f"{len(shape['asked'])}."
            )
        network = cls(
            description,
            tuple(shape["asked"]),
            tuple(shape["told"]),
            float(shape["told_scale"]),
        )
        tensors = {name: torch.from_numpy(np.array(v)) for name, v in weights.items()}
        network.model.load_state_dict(tensors)
        return network.eval()

    def _infer(self, x: Tensor, given: dict[str, Tensor]) -> Latents:
        return self.model.infer(x[:, self.features], drawn=False, generator=None, **given)

    def _given(self, x: Tensor) -> dict[str, Tensor]:
        """Return what encoder and decoder are told beside the row."""
        return {"condition": x[:, self.condition] * self.condition_scale} if self.condition else {}


def target_layout(encoder: TableEncoder, *, typed: bool) -> TargetLayout:
    """Say what a decoder is asked about: every feature as a Gaussian.

    Typed, it is asked for the codes of the discrete columns and the numbers of the others.
    """
    if not typed:
        return TargetLayout(tuple(range(len(encoder.features))))
    coded = {j for where, _ in encoder.codebook() for j in range(where.start, where.stop)}
    gaussian = tuple(j for j in range(len(encoder.features)) if j not in coded)
    return TargetLayout(gaussian, encoder.code_sizes)


def targets_of(viewed: Floats32, codes: Ints, layout: TargetLayout) -> Floats32:
    """Return the targets of rows, (N, n_targets), float32."""
    gaussian = viewed[:, list(layout.gaussian)]
    if not layout.classes:
        return gaussian
    return np.concatenate([gaussian, codes.astype(np.float32)], axis=1)


@torch.inference_mode()
def encode_rows(network: RowNetwork, viewed: Floats32) -> tuple[Floats32, Floats32]:
    """Return posterior means and log variances, each (N, Z), float32."""
    n = len(viewed)
    mean = np.empty((n, network.latent_dim), dtype=np.float32)
    logvar = np.empty_like(mean)
    for start in range(0, n, _CHUNK):
        m, v = network.encode(_padded(viewed, start))
        stop = min(start + _CHUNK, n)
        mean[start:stop], logvar[start:stop] = m[: stop - start], v[: stop - start]
    return mean, logvar


def evidence_of(
    network: RowNetwork, viewed: Floats32, target: Floats32, *, iw_draws: int = 0
) -> Evidence:
    """Return the evidence of rows, chunk by chunk."""
    parts = [
        network.evidence(_padded(viewed, s), _padded(target, s), iw_draws=iw_draws)
        for s in range(0, max(len(viewed), 1), _CHUNK)
    ]
    n = len(viewed)
    bounds = [part.iw_nll for part in parts if part.iw_nll is not None]
    return Evidence(
        np.concatenate([part.nll_per_dim for part in parts])[:n],
        np.concatenate([part.kl_per_dim for part in parts])[:n],
        np.concatenate(bounds)[:n] if bounds else None,
    )


def build_network(shape: Json, weights: Arrays) -> RowNetwork:
    """Make a network from its shape and weights; one without a description is stacked."""
    kind = FamilyNetwork if "description" in shape else StackedNetwork
    return kind.from_state(shape, weights)


def _check_places(places: Sequence[int], n_features: int | None = None) -> None:
    """Refuse places of features that are none, or are not in order."""
    whole = all(type(place) is int and place >= 0 for place in places)
    if (
        not whole
        or list(places) != sorted(set(places))
        or (n_features is not None and max(places, default=0) >= n_features)
    ):
        raise DataError(f"The network asks for features that are not there: {list(places)[:5]}.")


def _padded(rows: Floats32, start: int) -> torch.Tensor:
    """Return one chunk as (_CHUNK, D), zeros after the last row."""
    part = rows[start : start + _CHUNK]
    chunk = torch.zeros(_CHUNK, rows.shape[1])
    chunk[: len(part)] = torch.from_numpy(np.ascontiguousarray(part))
    return chunk
