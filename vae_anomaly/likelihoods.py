"""Likelihoods p(x | z): how far data lie from what the decoder expects, in nats.

A decoder emits `n_params` numbers for every data dimension. Their shape is that of the data,
``(..., D)``, when `n_params` is 1 and ``(..., D, n_params)`` otherwise; ``D`` stands for all the
data's own dimensions, such as ``C, H, W``. Every likelihood returns one number per data dimension,
with all constants kept, in float32 whatever the network computed in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import expm1, log
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = [
    "BernoulliLikelihood",
    "CategoricalLikelihood",
    "GaussianLikelihood",
    "Likelihood",
]

HALF_LOG_2PI = 0.5 * log(2 * torch.pi)


class Likelihood(nn.Module, ABC):
    """Distribution of one data dimension given what the decoder emits for it.

    Attributes
    ----------
    n_params : int
        Numbers that the decoder emits per data dimension.
    """

    n_params: int = 1

    @abstractmethod
    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute -log p(target | params) of each data dimension.

        Parameters
        ----------
        params : Tensor of shape (..., D) or (..., D, n_params)
        target : Tensor of shape (..., D)

        Returns
        -------
        nll : Tensor of shape (..., D), nats, float32; higher = less likely
        """

    @abstractmethod
    def mean(self, params: Tensor) -> Tensor:
        """Return the expected data, of shape (..., D)."""

    @abstractmethod
    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw data of shape (..., D)."""

    def log_prob(self, params: Tensor, target: Tensor) -> Tensor:
        """Return log p(target | params) of shape (..., D), nats; higher = more likely."""
        return -self.nll(params, target)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """Return `nll`, so that a likelihood can be called like any module."""
        return self.nll(params, target)


class GaussianLikelihood(Likelihood):
    """Gaussian whose standard deviation is learned beside the network.

    ``log_sigma = floor + softplus(a - floor)``: a soft floor that keeps a gradient, and keeps the
    negative log-likelihood of flat regions from falling without end.

    Parameters
    ----------
    n_features : int or tuple of int
        Shape of the learned sigma; anything that broadcasts against the data's own dimensions,
        such as ``(C, 1, 1)`` for one sigma per channel.
    per_feature : bool
        False learns one sigma for all.
    init_log_sigma, min_log_sigma : float
        Start and floor, natural logarithm of the data's unit.

    References
    ----------
    Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021.
    """

    def __init__(
        self,
        n_features: int | tuple[int, ...] = 1,
        per_feature: bool = True,
        init_log_sigma: float = 0.0,
        min_log_sigma: float = -3.0,
    ) -> None:
        super().__init__()
        if init_log_sigma <= min_log_sigma:
            raise ConfigError(
                "The 'init_log_sigma' parameter of GaussianLikelihood must be above "
                f"min_log_sigma ({min_log_sigma:g}). Got {init_log_sigma:g}."
            )
        shape = (n_features,) if isinstance(n_features, int) else tuple(n_features)
        above = init_log_sigma - min_log_sigma
        start = min_log_sigma + above + log(-expm1(-above))  # inverse of the soft floor
        self.min_log_sigma = float(min_log_sigma)
        self.raw_log_sigma = nn.Parameter(torch.full(shape if per_feature else (1,), start))

    @property
    def log_sigma(self) -> Tensor:
        """Natural logarithm of the standard deviation, above the floor, float32."""
        floor = self.min_log_sigma
        return floor + F.softplus(self.raw_log_sigma.float() - floor)

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the Gaussian nll; `params` are the means, of shape (..., D)."""
        log_sigma = self.log_sigma
        scaled = (target.float() - params.float()) * torch.exp(-log_sigma)
        return 0.5 * scaled.square() + (log_sigma + HALF_LOG_2PI)

    def mean(self, params: Tensor) -> Tensor:
        """Return the means, as the decoder emits them."""
        return params.float()

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw from the Gaussian."""
        noise = torch.randn(params.shape, generator=generator, device=params.device)
        return params.float() + noise * torch.exp(self.log_sigma)


class BernoulliLikelihood(Likelihood):
    """Bernoulli from logits, for binary data.

    Never from probabilities: ``sigmoid(30)`` is exactly 1 in float32, and the gradient is gone.
    With grey values in [0, 1] this is no likelihood but still a usable loss; the entropy of the
    target remains as a constant.
    """

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the cross-entropy; `params` are logits, `target` in [0, 1]."""
        return F.binary_cross_entropy_with_logits(params.float(), target.float(), reduction="none")

    def mean(self, params: Tensor) -> Tensor:
        """Return the probability of a 1."""
        return torch.sigmoid(params.float())

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw zeros and ones."""
        return torch.bernoulli(self.mean(params), generator=generator)


class CategoricalLikelihood(Likelihood):
    """Categorical from logits; the data are codes 0 .. n_classes - 1.

    Parameters
    ----------
    n_classes : int, >= 2
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_params = n_classes

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute -log softmax at the code; `params` of shape (..., D, n_classes)."""
        log_p = F.log_softmax(params.float(), dim=-1)
        return -log_p.gather(-1, target.long().unsqueeze(-1)).squeeze(-1)

    def mean(self, params: Tensor) -> Tensor:
        """Return the most likely code: categories have no mean."""
        return params.argmax(-1).float()

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw codes."""
        p = F.softmax(params.float(), dim=-1)
        flat = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
        return flat.reshape(p.shape[:-1]).float()
