"""Likelihoods of continuous data; a nll is a density and may be negative."""

from __future__ import annotations

from math import exp, expm1, log, pi
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from vae_anomaly.errors import check_parameter
from vae_anomaly.vae.likelihoods.base import LearnedScale, Likelihood, draw_gamma, draw_normal

if TYPE_CHECKING:
    from torch import Generator, Tensor

HALF_LOG_2PI = 0.5 * log(2 * pi)


class GaussianLikelihood(LearnedScale):
    """Gaussian whose standard deviation is learned; the decoder emits the means.

    Parameters
    ----------
    n_features : int or tuple of int
        Shape of the learned sigma; ``(C, 1, 1)`` gives one per channel of an image.
    per_feature : bool
        False learns one sigma for all.
    init_log_sigma, min_log_sigma : float
        Start and soft floor, natural logarithm of the data's unit.
    """

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the Gaussian nll; `params` are the means, of shape (..., D)."""
        log_sigma = self.log_sigma
        scaled = (target.float() - params.float()) * torch.exp(-log_sigma)
        return 0.5 * scaled.square() + (log_sigma + HALF_LOG_2PI)

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw from the Gaussian."""
        return params.float() + draw_normal(params, generator) * torch.exp(self.log_sigma)


class OptimalGaussianLikelihood(Likelihood):
    """Gaussian whose one variance is the best for the batch in hand, in closed form.

    In training mode sigma is the root mean squared error of the batch; in evaluation mode it is a
    running average, so that the score of a sample never depends on its neighbours.

    Parameters
    ----------
    momentum : float in [0, 1)
        Share of the old running variance that is kept at each training step.
    min_log_sigma : float

    References
    ----------
    Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021.
    """

    variance: Tensor
    seen: Tensor

    def __init__(self, momentum: float = 0.99, min_log_sigma: float = -6.0) -> None:
        super().__init__()
        self.momentum, self.min_log_sigma = momentum, min_log_sigma
        self.register_buffer("variance", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))  # weight of what was averaged, for the start

    @property
    def log_sigma(self) -> Tensor:
        """Natural logarithm of the running standard deviation; 0 before any training step."""
        if float(self.seen) == 0:
            return torch.zeros_like(self.variance)
        return self._log_sigma_of(self.variance / self.seen)

    def _log_sigma_of(self, variance: Tensor) -> Tensor:
        return 0.5 * torch.log(variance.clamp(min=exp(2 * self.min_log_sigma)))

    @torch.no_grad()
    def _observe(self, squared_error: Tensor) -> Tensor:
        """Update the running variance, and return the batch's own log sigma."""
        batch = squared_error.mean()
        self.variance.lerp_(batch, 1 - self.momentum)
        self.seen.lerp_(torch.ones_like(self.seen), 1 - self.momentum)
        return self._log_sigma_of(batch)

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the Gaussian nll; `params` are the means, of shape (..., D)."""
        squared = (target.float() - params.float()).square()
        log_sigma = self._observe(squared.detach()) if self.training else self.log_sigma
        return 0.5 * squared * torch.exp(-2 * log_sigma) + (log_sigma + HALF_LOG_2PI)

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw from the Gaussian, with the running sigma."""
        return params.float() + draw_normal(params, generator) * torch.exp(self.log_sigma)


class StudentTLikelihood(LearnedScale):
    """Student's t with learned scale and learned degrees of freedom, for heavy tails.

    Parameters
    ----------
    n_features, per_feature, init_log_sigma, min_log_sigma
        Scale, as in `GaussianLikelihood`.
    init_dof : float, > 2
        Degrees of freedom to start from. They stay above 2, so that the variance exists.
    """

    def __init__(
        self,
        n_features: int | tuple[int, ...] = 1,
        per_feature: bool = True,
        init_log_sigma: float = 0.0,
        min_log_sigma: float = -3.0,
        init_dof: float = 8.0,
    ) -> None:
        super().__init__(n_features, per_feature, init_log_sigma, min_log_sigma)
        expected = "above 2, where the variance exists"
        check_parameter(init_dof > 2, self, "init_dof", expected, init_dof)
        start = (init_dof - 2) + log(-expm1(-(init_dof - 2)))
        self.raw_dof = nn.Parameter(torch.full_like(self.raw_log_sigma, start))

    @property
    def dof(self) -> Tensor:
        """Degrees of freedom, above 2."""
        return 2 + F.softplus(self.raw_dof.float())

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the nll; `params` are the locations, of shape (..., D)."""
        dof, log_sigma = self.dof, self.log_sigma
        scaled = (target.float() - params.float()) * torch.exp(-log_sigma)
        constant = torch.lgamma(dof / 2) - torch.lgamma((dof + 1) / 2) + 0.5 * torch.log(pi * dof)
        return constant + log_sigma + 0.5 * (dof + 1) * torch.log1p(scaled.square() / dof)

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw from the t distribution: a Gaussian over the root of a gamma."""
        half = (self.dof / 2).expand_as(params)
        shrink = torch.sqrt(draw_gamma(half, generator) / half)
        return params.float() + torch.exp(self.log_sigma) * draw_normal(params, generator) / shrink
