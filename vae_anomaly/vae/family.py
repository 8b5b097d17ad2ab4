"""Build any member of the family from a description that fits into JSON.

A saved model is its description and its weights: `build_model` makes the same module again, and
``load_state_dict`` fills it. Nothing is ever pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn

from vae_anomaly.errors import ConfigError, did_you_mean
from vae_anomaly.vae.ladder import LadderVAE
from vae_anomaly.vae.likelihoods import (
    BernoulliLikelihood,
    CategoricalLikelihood,
    DiscretizedLogisticLikelihood,
    GaussianLikelihood,
    Likelihood,
    NegativeBinomialLikelihood,
    OptimalGaussianLikelihood,
    OrdinalLikelihood,
    PoissonLikelihood,
    StudentTLikelihood,
)
from vae_anomaly.vae.model import VAE
from vae_anomaly.vae.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, seeded
from vae_anomaly.vae.priors import GaussianMixturePrior, Prior, VampPrior
from vae_anomaly.vae.variants import (
    AutoEncoder,
    ConditionalVAE,
    ImportanceWeightedVAE,
    SemiSupervisedVAE,
)
from vae_anomaly.vae.vq import VQVAE, CodeMapDecoder, CodeMapEncoder

LIKELIHOODS: dict[str, Callable[[ModelDescription], Likelihood]] = {
    "gaussian": lambda d: GaussianLikelihood(d.scale_shape),
    "optimal_gaussian": lambda d: OptimalGaussianLikelihood(),
    "student_t": lambda d: StudentTLikelihood(d.scale_shape),
    "bernoulli": lambda d: BernoulliLikelihood(),
    "categorical": lambda d: CategoricalLikelihood(d.n_levels),
    "ordinal": lambda d: OrdinalLikelihood(d.n_levels, d.scale_shape),
    "poisson": lambda d: PoissonLikelihood(),
    "negative_binomial": lambda d: NegativeBinomialLikelihood(d.scale_shape),
    "discretized_logistic": lambda d: DiscretizedLogisticLikelihood(
        d.scale_shape, n_levels=d.n_levels
    ),
}
PRIORS: dict[str, Callable[[ModelDescription], Prior | None]] = {
    "normal": lambda d: None,
    "mixture": lambda d: GaussianMixturePrior(d.latent_dim, d.n_components),
    "vamp": lambda d: VampPrior(_start(d)),
}


@dataclass(frozen=True)
class ModelDescription:
    """What a model is made of.

    Parameters
    ----------
    kind : str
        One of `MEMBERS`. "beta" and "denoising" are the plain VAE, trained differently.
    in_shape : tuple of int
        Shape of one sample: ``(D,)`` for a row, ``(C, *sizes)`` for signals, images, volumes.
    latent_dim : int
        For "vq" the length of a code.
    hidden : tuple of int
        Widths of the dense layers; for "ladder" one for each layer of latents.
    channels : tuple of int
        Channels of the convolutions, used instead of dense layers where given.
    likelihood : str
        One of `LIKELIHOODS`.
    prior : str
        One of `PRIORS`; for kinds that have a choice.
    n_levels : int
        Classes of a categorical or ordinal likelihood, grey levels of the logistic one.
    n_conditions : int
        Conditions of "conditional", classes of "semi_supervised".
    n_components : int
        Parts of a mixture prior, pseudo-inputs of a VampPrior.
    n_codes : int
        Size of the codebook of "vq".
    n_draws : int
        Draws of "importance_weighted".
    linear_skip : bool
        Linear maps beside the dense layers.
    activation : str

    Examples
    --------
    >>> description = ModelDescription("vae", (30,), latent_dim=4, hidden=(64,))
    >>> model = build_model(description, random_state=0)
    >>> ModelDescription.from_dict(description.to_dict()) == description
    True
    """

    kind: str
    in_shape: tuple[int, ...]
    latent_dim: int = 16
    hidden: tuple[int, ...] = (256,)
    channels: tuple[int, ...] = ()
    likelihood: str = "gaussian"
    prior: str = "normal"
    n_levels: int = 256
    n_conditions: int = 0
    n_components: int = 20
    n_codes: int = 64
    n_draws: int = 8
    linear_skip: bool = False
    activation: str = "relu"

    def __post_init__(self) -> None:
        """Refuse names that stand for nothing."""
        _check_name("kind", self.kind, MEMBERS)
        _check_name("likelihood", self.likelihood, LIKELIHOODS)
        _check_name("prior", self.prior, PRIORS)

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """One scale per column of a row; one per channel of anything with sizes."""
        return (self.in_shape[0], *[1] * (len(self.in_shape) - 1))

    @property
    def spatial_dims(self) -> int:
        """Number of sizes after the channels."""
        return len(self.in_shape) - 1

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelDescription:
        """Read what `to_dict` wrote; an unknown entry is an error."""
        known = {field.name for field in fields(cls)}
        for name in values:
            if name not in known:
                _check_name("entry", name, dict.fromkeys(known))
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**given)


def build_model(description: ModelDescription, random_state: int = 0) -> VAE:
    """Build a model with weights drawn from a seed.

    Parameters
    ----------
    description : ModelDescription
    random_state : int

    Returns
    -------
    model : VAE
        In training mode. The pseudo-inputs of a VampPrior start as uniform noise: copy some
        samples into ``model.prior.pseudo_inputs`` before training.

    Raises
    ------
    ConfigError
        If the description does not make a model.
    """
    with seeded(random_state):
        return MEMBERS[description.kind](description)


def _networks(d: ModelDescription, condition_dim: int = 0) -> tuple[nn.Module, nn.Module]:
    """Build encoder and decoder, dense or convolutional."""
    n_params = LIKELIHOODS[d.likelihood](d).n_params
    if d.channels:
        shared = (d.in_shape, d.channels, d.latent_dim, d.spatial_dims)
        options: dict[str, Any] = {"condition_dim": condition_dim, "activation": d.activation}
        return ConvEncoder(*shared, **options), ConvDecoder(*shared, n_params=n_params, **options)
    dense = (d.in_shape, d.hidden, d.latent_dim)
    options = {
        "condition_dim": condition_dim,
        "activation": d.activation,
        "linear_skip": d.linear_skip,
    }
    return MLPEncoder(*dense, **options), MLPDecoder(*dense, n_params=n_params, **options)


def _likelihood(d: ModelDescription) -> Likelihood:
    return LIKELIHOODS[d.likelihood](d)


def _prior(d: ModelDescription) -> Prior | None:
    return PRIORS[d.prior](d)


def _start(d: ModelDescription) -> torch.Tensor:
    return torch.rand(d.n_components, *d.in_shape)


def _conditional(d: ModelDescription) -> VAE:
    networks = _networks(d, d.n_conditions)
    return ConditionalVAE(*networks, _likelihood(d), d.n_conditions, _prior(d))


def _vq(d: ModelDescription) -> VAE:
    codes: dict[str, Any] = {"codebook_size": d.n_codes, "code_dim": d.latent_dim}
    if not d.channels:
        raise ConfigError(
            f"A model of kind 'vq' needs convolutions; got channels={d.channels}. Give at least "
            "one, for example (16, 32), and samples of shape (C, *sizes)."
        )
    n_params = _likelihood(d).n_params
    shared = (d.in_shape, d.channels, d.latent_dim, d.spatial_dims)
    networks = CodeMapEncoder(*shared), CodeMapDecoder(*shared, n_params=n_params)
    return VQVAE(*networks, _likelihood(d), **codes)


def _ladder(d: ModelDescription) -> VAE:
    """Each layer has half the latents of the one below, and at least one."""
    latent_dims = [max(1, d.latent_dim >> layer) for layer in range(len(d.hidden))]
    return LadderVAE(d.in_shape, _likelihood(d), latent_dims, d.hidden)


def _semi_supervised(d: ModelDescription) -> VAE:
    n_in, width = int(torch.Size(d.in_shape).numel()), d.hidden[-1]
    head = nn.Sequential(
        nn.Flatten(), nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, d.n_conditions)
    )
    networks = _networks(d, d.n_conditions)
    return SemiSupervisedVAE(*networks, _likelihood(d), head, d.n_conditions)


def _plain(d: ModelDescription) -> VAE:
    return VAE(*_networks(d), _likelihood(d), _prior(d))


MEMBERS: dict[str, Callable[[ModelDescription], VAE]] = {
    "vae": _plain,
    "beta": _plain,
    "denoising": _plain,
    "autoencoder": lambda d: AutoEncoder(*_networks(d), _likelihood(d)),
    "importance_weighted": lambda d: ImportanceWeightedVAE(
        *_networks(d), _likelihood(d), _prior(d), n_draws=d.n_draws
    ),
    "conditional": _conditional,
    "vq": _vq,
    "ladder": _ladder,
    "semi_supervised": _semi_supervised,
}


def _check_name(what: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise ConfigError(
            f"The {what!r} of a model must be one of {', '.join(sorted(known))}. "
            f"Got {name!r}{did_you_mean(name, known)}."
        )
