"""What every likelihood offers, and what several of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import expm1, log
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from vae_anomaly.errors import check_parameter

if TYPE_CHECKING:
    from torch import Generator, Tensor


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

    def mean(self, params: Tensor) -> Tensor:
        """Return the expected data (..., D): what the decoder emits, unless overridden."""
        return params.float()

    @abstractmethod
    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw data of shape (..., D)."""

    def log_prob(self, params: Tensor, target: Tensor) -> Tensor:
        """Return log p(target | params) of shape (..., D), nats; higher = more likely."""
        return -self.nll(params, target)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """Return `nll`, so that a likelihood can be called like any module."""
        return self.nll(params, target)


class LearnedScale(Likelihood):
    """Likelihood with a scale that is learned beside the network, kept above a soft floor.

    ``log_sigma = floor + softplus(a - floor)``: unlike a clamp the floor keeps a gradient, and it
    keeps the negative log-likelihood of flat regions from falling without end.

    Parameters
    ----------
    n_features : int or tuple of int
        Shape of the learned scale; anything that broadcasts against the data's own dimensions,
        such as ``(C, 1, 1)`` for one scale per channel.
    per_feature : bool
        False learns one scale for all.
    init_log_sigma, min_log_sigma : float
        Start and floor, natural logarithm of the data's unit.

    Raises
    ------
    ConfigError
        If the start is not above the floor.

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
        expected = f"above min_log_sigma ({min_log_sigma:g})"
        fine = init_log_sigma > min_log_sigma
        check_parameter(fine, self, "init_log_sigma", expected, init_log_sigma)
        shape = (n_features,) if isinstance(n_features, int) else tuple(n_features)
        above = init_log_sigma - min_log_sigma
        start = min_log_sigma + above + log(-expm1(-above))  # inverse of the soft floor
        self.min_log_sigma = float(min_log_sigma)
        self.raw_log_sigma = nn.Parameter(torch.full(shape if per_feature else (1,), start))

    @property
    def log_sigma(self) -> Tensor:
        """Natural logarithm of the scale, above the floor, float32."""
        floor = self.min_log_sigma
        return floor + F.softplus(self.raw_log_sigma.float() - floor)


def draw_normal(like: Tensor, generator: Generator | None) -> Tensor:
    """Draw standard normal noise of the shape of a tensor."""
    return torch.randn(like.shape, generator=generator, device=like.device)


def draw_gamma(concentration: Tensor, generator: Generator | None) -> Tensor:
    """Draw from gamma distributions of rate 1."""
    drawn: Tensor = torch._standard_gamma(concentration.detach().contiguous(), generator=generator)
    return drawn


def draw_codes(p: Tensor, generator: Generator | None) -> Tensor:
    """Draw one code per row of probabilities of shape (..., n_classes)."""
    flat = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
    return flat.reshape(p.shape[:-1]).float()
