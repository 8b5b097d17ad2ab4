"""The repair VAE: convolutional, with spatial latents, taught to take defects away.

It sees the standardised residuals ``z`` that the linear level leaves, either of a good image or
of the same image with a synthetic defect, and is asked for the residuals of the *good* one.
What it does not give back is what does not belong. A small head beside it is told where the
defects were; it looks at the residuals of both levels and adds what a sum of squares cannot see.

One training run serves both; the loss is ``-ELBO / D + weight * focal cross-entropy``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.likelihoods import GaussianLikelihood
from vae_anomaly.vae.model import VAEOutput, draw_gaussian
from vae_anomaly.vae.objectives import gaussian_kl, negative_elbo

if TYPE_CHECKING:
    from torch import Generator, Tensor

_GROUPS = 8
_LATENT_START = -2.0
_HEAD_START = -2.0
_LATENT_BOUNDS = (-8.0, 4.0)


@dataclass(frozen=True)
class RepairOutput(VAEOutput):
    """A `VAEOutput` with the head's opinion.

    Attributes
    ----------
    defect_logit : Tensor of shape (N, G, G)
        Higher = more like a defect.
    head_loss : Tensor of shape (N,), nats a cell
        Focal cross-entropy against the mask; 0 where no mask was given.
    """

    defect_logit: Tensor
    head_loss: Tensor


@dataclass(frozen=True)
class RepairJudgement:
    """What is said of residuals that are scored.

    Attributes
    ----------
    rest : Tensor of shape (N, C, G, G)
        What repair takes away.
    defect_logit : Tensor of shape (N, G, G)
        Higher = more like a defect.
    nll, kl : Tensor of shape (N,), nats
        Terms of the ELBO at the posterior mean.
    """

    rest: Tensor
    defect_logit: Tensor
    nll: Tensor
    kl: Tensor


class RepairVAE(nn.Module):
    """Convolutional VAE with latents on a grid of half the resolution, and a defect head.

    Parameters
    ----------
    channels, grid : int
        Maps of each image, and their side in cells; even.
    latent_channels : int
        Latents per cell of the halved grid; Z = latent_channels * (grid / 2) ** 2.
    width : int
        Channels of the full-resolution layers, a multiple of 16; the half-resolution layers have
        half as many again.
    head_weight : float
        Weight of the head's loss against the ELBO per dimension.

    Raises
    ------
    ConfigError
        If grid or width do not fit.
    """

    def __init__(
        self,
        channels: int,
        grid: int,
        *,
        latent_channels: int = 8,
        width: int = 48,
        head_weight: float = 5.0,
    ) -> None:
        super().__init__()
        if grid % 2 or width % 16:
            raise ConfigError(
                f"RepairVAE needs an even grid and a width that is a multiple of 16; got "
                f"grid={grid}, width={width}. Choose an image_size that is a multiple of 16."
            )
        self.shape = (channels, grid, grid)
        self.latent_shape = (latent_channels, grid // 2, grid // 2)
        self.head_weight = head_weight
        self.position = nn.Parameter(torch.zeros(width, grid // 2, grid // 2))
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, width, 3, padding=1)
        )
        self.down = nn.Sequential(
            _activation(width), nn.Conv2d(width, width, 3, padding=1), _activation(width)
        )
        self.posterior = nn.Conv2d(width, 2 * latent_channels, 1)
        self.up = nn.Sequential(
            nn.Conv2d(latent_channels, width, 3, padding=1),
            _activation(width),
            nn.Conv2d(width, width, 3, padding=1),
            _activation(width),
            nn.Conv2d(width, 4 * channels, 3, padding=1),
        )
        self.shuffle = nn.PixelShuffle(2)
        self.likelihood = GaussianLikelihood((channels, 1, 1))
        self.head = _head(4 * channels, width)
        self._start()

    @property
    def latent_dim(self) -> int:
        """Number of latents per image."""
        return prod(self.latent_shape)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior mean and clamped log variance, each (N, Z), float32."""
        return self._encode(self.stem[0](x))

    def decode(self, z: Tensor) -> Tensor:
        """Return the expected good residuals (N, C, G, G) of latents (N, Z)."""
        repaired: Tensor = self.shuffle(self._decode(z))
        return repaired

    def reconstruct(self, x: Tensor) -> Tensor:
        """Return the repaired residuals at the posterior mean, (N, C, G, G); deterministic."""
        return self.decode(self.encode(x)[0])

    def forward(
        self,
        x: Tensor,
        target: Tensor | None = None,
        *,
        generator: Generator | None = None,
        sample: bool | None = None,
        mask: Tensor | None = None,
    ) -> RepairOutput:
        """Repair residuals and point at what was repaired.

        Parameters
        ----------
        x : Tensor of shape (N, C, G, G)
            Standardised residuals, possibly of an image with a synthetic defect.
        target : Tensor of shape (N, C, G, G), optional
            Residuals of the good image; `x` itself when left out.
        sample : bool, optional
            Draw z, or take the posterior mean; None draws in training mode only.
        mask : Tensor of shape (N, G, G), in [0, 1], optional
            Where the synthetic defect is, for the head's loss.
        """
        deep = self.stem[0](x)
        mean, logvar = self._encode(deep)
        drawn = self.training if sample is None else sample
        deep_repaired = self._decode(draw_gaussian(mean, logvar, generator) if drawn else mean)
        repaired = self.shuffle(deep_repaired)
        nll = self.likelihood.nll(repaired, x if target is None else target)
        logit = self._locate(deep, deep_repaired)
        head_loss = (
            logit.new_zeros(logit.shape[0]) if mask is None else focal_cross_entropy(logit, mask)
        )
        return RepairOutput(
            recon=repaired,
            mean=mean,
            logvar=logvar,
            nll=nll.flatten(1).sum(1),
            kl_per_dim=gaussian_kl(mean, logvar),
            defect_logit=logit,
            head_loss=head_loss,
        )

    def judge(self, deep: Tensor) -> RepairJudgement:
        """Judge residuals at the posterior mean; their 2 x 2 cells are channels already.

        So those that many judge, (N, 4 C, G / 2, G / 2), are sorted by cells once.
        """
        mean, logvar = self._encode(deep)
        deep_repaired = self._decode(mean)
        rest: Tensor = self.shuffle(deep - deep_repaired)
        return RepairJudgement(
            rest=rest,
            defect_logit=self._locate(deep, deep_repaired),
            nll=self.likelihood.nll(rest.new_zeros(()), rest).flatten(1).sum(1),
            kl=gaussian_kl(mean, logvar).sum(1),
        )

    def training_loss(self, output: RepairOutput, beta: float, free_bits: float = 0.0) -> Tensor:
        """Return -ELBO per dimension plus the weighted loss of the head, a scalar."""
        elbo = negative_elbo(output.nll, output.kl_per_dim, beta, free_bits) / prod(self.shape)
        return elbo + self.head_weight * output.head_loss.mean()

    def _encode(self, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Encode residuals whose 2 x 2 cells are channels, (N, 4 C, G / 2, G / 2)."""
        hidden = self.down(self.stem[1](deep) + self.position)
        mean, logvar = self.posterior(hidden).float().chunk(2, 1)
        return mean.flatten(1), logvar.flatten(1).clamp(*_LATENT_BOUNDS)

    def _decode(self, z: Tensor) -> Tensor:
        """Decode latents (N, Z) to such residuals."""
        deep: Tensor = self.up(z.view(-1, *self.latent_shape)).float()
        return deep

    def _locate(self, deep: Tensor, deep_repaired: Tensor) -> Tensor:
        """Return the head's logit per cell, (N, G, G); higher = more like a defect.

        All is sorted by 2 x 2 cells already, which is what the head begins with.
        """
        rest = (deep - deep_repaired).detach()
        logit: Tensor = self.head[1:](torch.cat((deep, deep.abs(), rest, rest.abs()), 1))
        return logit.float()[:, 0]

    def _start(self) -> None:
        """Begin with no repair at all, small posteriors and a head that expects no defect."""
        with torch.no_grad():
            for parameter in self.up[-1].parameters():
                parameter.zero_()
            start = torch.zeros(2 * self.latent_shape[0])
            start[self.latent_shape[0] :] = _LATENT_START
            self.posterior.load_state_dict({"weight": self.posterior.weight, "bias": start})
            nn.init.constant_(self.head[-2].get_parameter("bias"), _HEAD_START)


def focal_cross_entropy(logit: Tensor, mask: Tensor) -> Tensor:
    """Return the focal cross-entropy of each image, (N,), nats a cell, mean over its cells.

    ``BCE * (1 - p_t) * (1 + 2 t)`` of logit and mask (N, G, G), the mask in [0, 1]: cells that are
    sure and right count little, defects three times.

    References
    ----------
    Lin et al., Focal Loss for Dense Object Detection, 2017.
    """
    entropy = functional.binary_cross_entropy_with_logits(logit, mask, reduction="none")
    p = torch.sigmoid(logit)
    missed = 1.0 - (p * mask + (1.0 - p) * (1.0 - mask))
    return (entropy * missed * (1.0 + 2.0 * mask)).flatten(1).mean(1)


def _activation(channels: int) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(_GROUPS, channels), nn.SiLU())


def _head(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(4 * channels, width, 1),
        _activation(width),
        nn.Conv2d(width, width, 3, padding=1),
        _activation(width),
        nn.Conv2d(width, width, 3, padding=2, dilation=2),
        nn.SiLU(),
        nn.Conv2d(width, 4, 1),
        nn.PixelShuffle(2),
    )
