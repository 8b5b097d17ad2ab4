"""What a variational autoencoder minimises: pure functions of tensors.

Conventions, here and everywhere: **sum over features and latents, mean over the batch, nats,
float32**. A term is kept per sample until the very last line of a loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Literal

import torch

from vae_anomaly.errors import ConfigError, check_parameter

if TYPE_CHECKING:
    from torch import Tensor

LOGVAR_LOW = -30.0
LOGVAR_HIGH = 20.0


def clamp_logvar(x: Tensor, low: float = LOGVAR_LOW, high: float = LOGVAR_HIGH) -> Tensor:
    """Clamp a log variance to the range in which float32 arithmetic is safe; float32.

    Done once, where the encoder ends, so that sampling, KL and likelihood see the same value. The
    default bounds allow standard deviations from 3e-7 to 2e4. The gradient outside the range is
    zero: `posterior_diagnostics` reports the clamped share.
    """
    return x.float().clamp(low, high)


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Compute KL(N(mean, exp(logvar)) || N(0, 1)) of each latent, (..., Z), nats, at least float32.

    Uses ``expm1``: at ``logvar = 1e-4`` the naive ``exp(logvar) - 1 - logvar`` is 0 in float32,
    the truth is 5e-9. Matters when one asks which latents have collapsed.

    References
    ----------
    Kingma and Welling, Auto-Encoding Variational Bayes, 2014, appendix B.
    """
    if mean.dtype != torch.float64:
        mean, logvar = mean.float(), logvar.float()
    return 0.5 * (mean.square() + (torch.expm1(logvar) - logvar))


def gaussian_kl_between(
    mean: Tensor, logvar: Tensor, prior_mean: Tensor, prior_logvar: Tensor
) -> Tensor:
    """Compute KL(N(mean, exp(logvar)) || N(prior_mean, exp(prior_logvar))) of each element, nats.

    The KL does not change when both are shifted and scaled, so this is `gaussian_kl` in the
    prior's own units.
    """
    scaled = (mean - prior_mean) * torch.exp(-0.5 * prior_logvar)
    return gaussian_kl(scaled, logvar - prior_logvar)


def gaussian_log_prob(x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Compute log N(x; mean, exp(logvar)) of each element, nats; higher = more likely."""
    return -0.5 * ((x - mean).square() * torch.exp(-logvar) + logvar + log(2 * torch.pi))


def free_bits_kl(kl_per_dim: Tensor, free_bits: float) -> Tensor:
    """Sum the batch-mean KL (..., N, Z) of the latents, each counted as at least `free_bits` nats.

    The floor is applied **after the batch mean, per dimension**: a latent may be idle for some
    samples as long as it works on average. (A floor per sample has another meaning.) This floored
    value belongs in the loss only; report the plain mean.

    References
    ----------
    Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow, 2016, C.8.
    """
    return kl_per_dim.float().mean(-2).clamp(min=free_bits).sum(-1)


def negative_elbo(
    nll: Tensor, kl_per_dim: Tensor, beta: float = 1.0, free_bits: float = 0.0
) -> Tensor:
    """Reduce per-sample terms, in nats, to the training loss ``mean nll + beta * KL``.

    ``nll`` is (N,), or (K, N) for K stacked members; ``kl_per_dim`` (..., N, Z). ``beta`` = 1 is
    the ELBO: scores and validation always use 1. The loss is summed over members, so that every
    member gets the gradient it would get alone.
    """
    kl = free_bits_kl(kl_per_dim, free_bits)  # () or (K,)
    return (nll.float().mean(-1) + beta * kl).sum()


def importance_weighted_nll(log_weights: Tensor) -> Tensor:
    """Estimate -log p(x), (N,), nats, from L importance samples.

    ``log_weights`` (L, N) are log p(x, z_l) - log q(z_l | x) for L draws z_l ~ q(z | x). In
    expectation an upper bound that tightens as L grows; higher = less likely. ConfigError if there
    are no draws.

    References
    ----------
    Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
    """
    n_draws = log_weights.shape[0]
    if n_draws == 0:
        raise ConfigError(
            "An importance-weighted bound needs at least 1 draw; got log_weights of shape "
            f"{tuple(log_weights.shape)}. Pass n_draws >= 1."
        )
    if log_weights.dtype != torch.float64:
        log_weights = log_weights.float()
    return log(n_draws) - torch.logsumexp(log_weights, dim=0)


@dataclass(frozen=True)
class KLSchedule:
    """Weight of the KL term as a pure function of the training step.

    Parameters
    ----------
    kind : {"constant", "linear", "cyclical"}
        ``linear`` rises from 0 to `beta` over `warmup_steps`; ``cyclical`` does so `cycles` times
        within `warmup_steps`, each time over the first `ramp` share of the cycle. After
        `warmup_steps` every kind stays at `beta`.
    beta : float, >= 0
    warmup_steps : int, >= 0
    cycles : int, >= 1
    ramp : float in (0, 1]

    References
    ----------
    Fu et al., Cyclical Annealing Schedule, 2019 (cycles = 4, ramp = 0.5).

    Examples
    --------
    >>> schedule = KLSchedule("linear", beta=2.0, warmup_steps=100)
    >>> [schedule(step) for step in (0, 50, 100, 900)]
    [0.0, 1.0, 2.0, 2.0]
    """

    kind: Literal["constant", "linear", "cyclical"] = "linear"
    beta: float = 1.0
    warmup_steps: int = 0
    cycles: int = 4
    ramp: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values that make no schedule."""
        known = self.kind in ("constant", "linear", "cyclical")
        for name, fine, expected in (
            ("kind", known, "one of constant, linear, cyclical"),
            ("beta", self.beta >= 0, "a number >= 0"),
            ("warmup_steps", self.warmup_steps >= 0, "an int >= 0"),
            ("cycles", self.cycles >= 1, "an int >= 1"),
            ("ramp", 0 < self.ramp <= 1, "a number in (0, 1]"),
        ):
            check_parameter(fine, self, name, expected, getattr(self, name))

    @property
    def settled_step(self) -> int:
        """First step from which the weight no longer changes."""
        return 0 if self.kind == "constant" else self.warmup_steps

    def __call__(self, step: int) -> float:
        """Return the weight of the KL at a step, counted from 0."""
        if step >= self.settled_step:
            return self.beta
        if self.kind == "linear":
            return self.beta * step / self.warmup_steps
        length = self.warmup_steps / self.cycles
        within = (step % length) / length  # position in this cycle, [0, 1)
        return self.beta * min(1.0, within / self.ramp)
