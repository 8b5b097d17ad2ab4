"""From what a VAE could not reproduce to a map in units of held-out normals.

A residual means nothing until one knows how large it usually is *there*: beside a stamped edge
it is always large, on the flat it never is. So each channel and position is divided by the
root mean square that held-out normals show, the channels are joined to one log-energy map, and the
map is put on a scale on which held-out normals have mean 0 and sd 1 everywhere in the product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from vae_anomaly.detectors.images.features.filter_bank import N_CHROMA
from vae_anomaly.detectors.images.features.smoothing import blur
from vae_anomaly.errors import NotEnoughDataError

if TYPE_CHECKING:
    from torch import Tensor

_VARIANCE_FLOOR = 1e-3
_CHROMA_FLOOR = 0.25
_ENERGY_FLOOR = 0.1
_ENERGY_BLUR = 1.2
_COHERENT_BLUR = 1.0
_COHERENT_FLOOR = 0.02
_COHERENT_WEIGHT = 0.7


class Standardiser(nn.Module):
    """Subtract the mean of normals and divide by their sd, per channel and position (C, G, G).

    The shape may also be (K, C, g, g), for K places of a large image.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("spread", torch.ones(shape))

    @classmethod
    def fit(cls, maps: Tensor) -> Standardiser:
        """Learn mean and sd from maps (N, C, G, G) of two normals or more.

        The variance is smoothed over neighbouring positions and floored, so that a position that
        hardly varies among few images does not become infinitely sensitive.
        """
        _need(maps, 2)
        model = cls(tuple(maps.shape[1:])).to(maps.device)
        variance = blur(maps.var(0, correction=0)[None], 1.0)[0]
        model.mean.copy_(maps.mean(0))
        model.spread.copy_((variance + _VARIANCE_FLOOR).sqrt())
        return model

    def forward(self, maps: Tensor, places: Tensor | None = None) -> Tensor:
        """Return standardised maps of the same shape; ``places`` (N,) are those that they show."""
        if places is None:
            return (maps - self.mean) / self.spread
        return (maps - self.mean[places]) / self.spread[places]


class ResidualScale(nn.Module):
    """Divide residuals by the root mean square of held-out normals at each position (C, G, G).

    This is the per-position decoder sd of a sigma-VAE, estimated where the decoder has not seen
    the image: the in-sample one would be too small by what the latents memorised.
    """

    spread: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("spread", torch.ones(shape))

    @classmethod
    def fit(cls, residuals: Tensor, *, colour: bool = False) -> ResidualScale:
        """Learn the scale from out-of-fold residuals (N, C, G, G) of normals.

        Those of the chroma, the last maps in ``colour``, have a higher floor, about two grey levels
        of a half-bright image: where parts are nearly grey, a step of JPEG's chroma is no event.
        """
        _need(residuals, 1)
        model = cls(tuple(residuals.shape[1:])).to(residuals.device)
        power = blur(residuals.square().mean(0)[None], 1.0)[0]
        floor = torch.full_like(power, _VARIANCE_FLOOR)
        if colour:
            floor[-N_CHROMA:] = _CHROMA_FLOOR
        model.spread.copy_((power + floor).sqrt())
        return model

    def forward(self, residuals: Tensor) -> Tensor:
        """Return residuals in units of held-out sd, same shape."""
        return residuals / self.spread


class Decorrelation(nn.Module):
    """Mix the channels of residuals such that what always comes together counts once.

    An edge that lies a little off shows in both gradients and at all scales, a crack in few
    channels. Where images are compared place by place, only the second is news.
    """

    mix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mix", torch.eye(channels))

    @classmethod
    def fit(cls, z: Tensor) -> Decorrelation:
        """Learn from residuals (N, C, G, G), in held-out sd, of normals that were held out.

        ``mix`` is the symmetric root of the inverse covariance of channels, over images and
        positions alike, drawn half-way to a multiple of the identity: strictly whitened, channels
        that hardly vary would be noise. The mean square of what comes out stays that of ``z``.
        """
        _need(z, 1)
        model = cls(z.shape[1]).to(z.device)
        cells = z.transpose(0, 1).flatten(1).double()  # (C, N G G)
        power, axes = torch.linalg.eigh(cells @ cells.T / cells.shape[1])
        gain = 1.0 / (power + power.mean() + _VARIANCE_FLOOR)
        gain *= power.sum() / (gain * power).sum().clamp(min=1e-12)
        model.mix.copy_(axes @ torch.diag(gain.sqrt()) @ axes.T)
        return model

    def forward(self, z: Tensor) -> Tensor:
        """Return mixed residuals (N, C, G, G)."""
        return (self.mix @ z.flatten(2)).view_as(z)


class MapScale(Standardiser):
    """Put a map on the one scale of held-out normals: mean 0, sd 1 over all their cells."""

    def __init__(self) -> None:
        super().__init__(())

    @classmethod
    def fit(cls, maps: Tensor) -> MapScale:
        """Learn the scale from maps (N, G, G) of held-out normals."""
        _need(maps, 1)
        model = cls().to(maps.device)
        model.mean.copy_(maps.double().mean())
        model.spread.copy_(maps.double().std(correction=0).clamp(min=1e-6))
        return model


def energy_map(standardised: Tensor) -> Tensor:
    """Join the channels of residuals (N, C, G, G), in held-out sd, to one log-energy map (N, G, G).

    ``log(blur(mean of z**2) + 0.1) + 0.7 log(mean of blur(z)**2 + 0.02)``, means over channels;
    higher = more anomalous. The first sees thin marks, whose residuals change sign from cell to
    cell; the second sees broad ones, whose residuals agree.
    """
    energy = blur(standardised.square().mean(1, keepdim=True), _ENERGY_BLUR)[:, 0]
    agreed = blur(standardised, _COHERENT_BLUR).square().mean(1)
    return torch.log(energy + _ENERGY_FLOOR) + _COHERENT_WEIGHT * torch.log(
        agreed + _COHERENT_FLOOR
    )


def _need(maps: Tensor, n: int) -> None:
    if len(maps) < n:
        raise NotEnoughDataError(
            f"A scale needs the maps of at least {n} normal images; got {len(maps)}. "
            "Add images of good parts."
        )
