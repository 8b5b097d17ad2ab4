"""Likelihoods of discrete data; a nll is -log of a probability and never negative."""

from __future__ import annotations

from math import expm1, inf, log
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from vae_anomaly.errors import check_parameter
from vae_anomaly.vae.likelihoods.base import (
    LearnedScale,
    Likelihood,
    draw_codes,
    draw_gamma,
)

if TYPE_CHECKING:
    from torch import Generator, Tensor


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
        check_parameter(n_classes >= 2, self, "n_classes", "an int >= 2", n_classes)
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
        return draw_codes(F.softmax(params.float(), dim=-1), generator)


class OrdinalLikelihood(Likelihood):
    """Ordered categories 0 .. n_classes - 1: a logistic variable cut at learned points.

    The decoder emits one number per dimension, the position on the hidden scale.

    Parameters
    ----------
    n_classes : int, >= 2
    n_features : int or tuple of int
        Shape that broadcasts against the data's own dimensions; each entry has its own cuts.

    References
    ----------
    McCullagh, Regression Models for Ordinal Data, 1980.
    """

    def __init__(self, n_classes: int, n_features: int | tuple[int, ...] = 1) -> None:
        super().__init__()
        check_parameter(n_classes >= 2, self, "n_classes", "an int >= 2", n_classes)
        self.n_classes = n_classes
        shape = (n_features,) if isinstance(n_features, int) else tuple(n_features)
        self.first_cut = nn.Parameter(torch.full((*shape, 1), -0.5 * (n_classes - 2)))
        self.raw_gaps = nn.Parameter(torch.full((*shape, n_classes - 2), log(expm1(1.0))))

    @property
    def cuts(self) -> Tensor:
        """Increasing cut points, of shape (*n_features, n_classes - 1)."""
        gaps = F.softplus(self.raw_gaps.float())
        return torch.cat([self.first_cut.float(), self.first_cut + gaps.cumsum(-1)], dim=-1)

    def class_log_prob(self, params: Tensor) -> Tensor:
        """Return the log probability of every class, of shape (..., D, n_classes)."""
        cuts = self.cuts
        inner = cuts - params.float().unsqueeze(-1)  # (..., D, n_classes - 1)
        upper, lower = F.pad(inner, (0, 1), value=inf), F.pad(inner, (1, 0), value=-inf)
        gaps = F.pad(cuts.diff(dim=-1), (1, 1), value=inf)
        return _log_sigmoid_difference(upper, lower, gaps)

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute -log P(class); `params` are positions, `target` codes, both (..., D)."""
        codes = target.long().unsqueeze(-1)
        return -self.class_log_prob(params).gather(-1, codes).squeeze(-1)

    def mean(self, params: Tensor) -> Tensor:
        """Return the expected code, a number in [0, n_classes - 1]."""
        return torch.sigmoid(params.float().unsqueeze(-1) - self.cuts).sum(-1)

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw codes."""
        return draw_codes(self.class_log_prob(params).exp(), generator)


class PoissonLikelihood(Likelihood):
    """Poisson counts; the decoder emits the log rate."""

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the nll of counts >= 0; `params` of shape (..., D), clamped to [-30, 20]."""
        log_rate, count = params.float().clamp(-30, 20), target.float()
        return torch.exp(log_rate) - count * log_rate + torch.lgamma(count + 1)

    def mean(self, params: Tensor) -> Tensor:
        """Return the rate."""
        return torch.exp(params.float().clamp(-30, 20))

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw counts."""
        return torch.poisson(self.mean(params), generator=generator)


class NegativeBinomialLikelihood(Likelihood):
    """Counts with more spread than Poisson; the decoder emits the log mean.

    Parameters
    ----------
    n_features : int or tuple of int
        Shape of the learned inverse dispersion r; the variance is ``mean + mean**2 / r``.
    init_log_r : float
    """

    def __init__(self, n_features: int | tuple[int, ...] = 1, init_log_r: float = 0.0) -> None:
        super().__init__()
        shape = (n_features,) if isinstance(n_features, int) else tuple(n_features)
        self.log_r = nn.Parameter(torch.full(shape, init_log_r))

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute the nll of counts >= 0; `params` of shape (..., D), clamped to [-30, 20]."""
        log_mean, count = params.float().clamp(-30, 20), target.float()
        log_r = self.log_r.float().clamp(-10, 10)
        r, log_total = torch.exp(log_r), torch.logaddexp(log_r, log_mean)
        choose = torch.lgamma(count + r) - torch.lgamma(r) - torch.lgamma(count + 1)
        return -(choose + r * (log_r - log_total) + count * (log_mean - log_total))

    def mean(self, params: Tensor) -> Tensor:
        """Return the mean count."""
        return torch.exp(params.float().clamp(-30, 20))

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw counts: a Poisson whose rate is drawn from a gamma."""
        r = torch.exp(self.log_r.float().clamp(-10, 10)).expand_as(params)
        rate = draw_gamma(r, generator) * self.mean(params) / r
        return torch.poisson(rate, generator=generator)


class DiscretizedLogisticLikelihood(LearnedScale):
    """Probability mass of a grey level under a logistic distribution; data in [0, 1].

    The mass of a bin is the difference of two sigmoids, taken in log space without cancellation,
    so that no fallback to the density is needed; the end bins are open, and all masses sum to 1.
    The result is a mass, so ``nll / log(2)`` is bits per dimension with nothing to add.

    Parameters
    ----------
    n_features, per_feature
        Shape of the learned scale, as in `GaussianLikelihood`.
    init_log_sigma, min_log_sigma : float
        Start and soft floor of the log scale, in units of the [0, 1] range.
    n_levels : int
        Number of grey levels; the data are ``level / (n_levels - 1)``.

    References
    ----------
    Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016.
    """

    def __init__(
        self,
        n_features: int | tuple[int, ...] = 1,
        per_feature: bool = True,
        init_log_sigma: float = -2.0,
        min_log_sigma: float = -7.0,
        n_levels: int = 256,
    ) -> None:
        super().__init__(n_features, per_feature, init_log_sigma, min_log_sigma)
        check_parameter(n_levels >= 2, self, "n_levels", "an int >= 2", n_levels)
        self.n_levels = n_levels

    def nll(self, params: Tensor, target: Tensor) -> Tensor:
        """Compute -log mass of each level; `params` are locations, of shape (..., D)."""
        top = self.n_levels - 1
        precision = torch.exp(-self.log_sigma)
        level = torch.round(target.float() * top)
        upper = ((level + 0.5) / top - params.float()) * precision
        gap = precision.expand_as(upper) / top
        lower = (upper - gap).masked_fill(level <= 0, -inf)
        upper = upper.masked_fill(level >= top, inf)
        gap = gap.masked_fill((level <= 0) | (level >= top), inf)
        return -_log_sigmoid_difference(upper, lower, gap)

    def mean(self, params: Tensor) -> Tensor:
        """Return the locations within [0, 1]."""
        return params.float().clamp(0, 1)

    def sample(self, params: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw grey levels."""
        u = torch.rand(params.shape, generator=generator, device=params.device)
        x = params.float() + torch.exp(self.log_sigma) * torch.logit(u, eps=1e-6)
        top = self.n_levels - 1
        return torch.round(x.clamp(0, 1) * top) / top


def _log_sigmoid_difference(upper: Tensor, lower: Tensor, gap: Tensor) -> Tensor:
    """Compute log(sigmoid(upper) - sigmoid(lower)) without cancellation; gap = upper - lower.

    From sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)).
    """
    return F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-gap))
