"""A member of the family on pixels: peers of the bank, from the tutorial's VAE to the ladder.

Every member sees the same 64-pixel images, has the same convolutions (the ladder has dense
layers) and the same Gaussian likelihood with a learned sigma per channel: what differs is the
latents, their prior and the objective.

A conditional one judges each product by its own usual exposure and its own scale of heat, so that
one with a rough surface is not taken for a defect of one with a smooth surface.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.filter_bank import FilterBank
from vae_anomaly.detectors.images.networks.bank import NetworkOutput, NetworkSpec
from vae_anomaly.detectors.images.networks.residuals import MapScale
from vae_anomaly.errors import ConfigError
from vae_anomaly.vae.family import ModelDescription, build_model
from vae_anomaly.vae.noise import Chain, GaussianNoise, MaskingNoise
from vae_anomaly.vae.vq import VQVAE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from vae_anomaly.vae.model import VAEOutput


_SHARED_IMAGES: Final = 3
_SPREAD_FLOOR: Final = 1e-3

PIXEL_SIZE: Final = 64
"""Side, in pixels, of the images that every member on pixels sees."""

_CHANNELS: Final = (32, 64, 128)
_MOST_COMPONENTS: Final = 20


class ConditionLevels(nn.Module):
    """Usual exposure and scale of heat of each condition."""

    usual: Tensor
    usual_spread: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, n_conditions: int, n_statistics: int) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(n_conditions, n_statistics))
        self.register_buffer("usual_spread", torch.ones(n_conditions, n_statistics))
        self.register_buffer("mean", torch.zeros(n_conditions, 1, 1))
        self.register_buffer("spread", torch.ones(n_conditions, 1, 1))

    @torch.no_grad()
    def learn_usual(self, statistics: Tensor, codes: Tensor) -> None:
        """Learn mean and sd of the whole-image statistics (n, S) of each condition.

        The variance of few images is drawn to what all conditions have in common.
        """
        statistics = statistics[:, : self.usual.shape[1]]
        for code in range(len(self.usual)):
            self.usual[code] = statistics[codes == code].mean(0)
        squared = (statistics - self.usual[codes]).square()  # (n, S)
        for code in range(len(self.usual)):
            own = squared[codes == code]
            common = _SHARED_IMAGES * squared.mean(0)
            variance = (own.sum(0) + common) / (len(own) + _SHARED_IMAGES)
            self.usual_spread[code] = variance.sqrt() + _SPREAD_FLOOR

    @torch.no_grad()
    def learn_scale(self, code: int, maps: Tensor) -> None:
        """Learn the scale of one condition from maps (m, G, G) of it, not yet on any scale."""
        scale = MapScale.fit(maps)
        self.mean[code], self.spread[code] = scale.mean, scale.spread

    def heat(self, maps: Tensor, codes: Tensor) -> Tensor:
        """Return maps in sd of held-out normals of the same condition, (N, G, G)."""
        return (maps - self.mean[codes]) / self.spread[codes]

    def difference(self, statistics: Tensor, codes: Tensor) -> Tensor:
        """Return how whole-image statistics differ from what is usual, (N, S), in sd.

        Of longer statistics the first are read.
        """
        known = statistics[:, : self.usual.shape[1]]
        return (known - self.usual[codes]) / self.usual_spread[codes]


class PixelNetwork(nn.Module):
    """A VAE on pixels, the scale of its heat, and the bank's whole-image statistics.

    ``image_size`` of the spec is that of the pixels it sees, and ``description`` says which VAE it
    is; ``random_state`` seeds the first weights.

    Every method takes ``condition``, an int64 Tensor of shape (N,), which only "conditional"
    reads; there `UNKNOWN` stands for the condition with the smallest negative ELBO.
    """

    shift: Tensor
    spread: Tensor

    def __init__(self, spec: NetworkSpec, random_state: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.vae = build_model(_description(spec), random_state)
        self.bank = FilterBank(spec.image_size, spec.channels)
        self.register_buffer("shift", torch.zeros(spec.channels, 1, 1))
        self.register_buffer("spread", torch.ones(spec.channels, 1, 1))
        self.heat_scale = MapScale()
        n_conditions = _description(spec).n_conditions
        n_statistics = spec.n_statistics or self.bank.n_first_statistics
        self.levels = ConditionLevels(n_conditions, n_statistics) if n_conditions else None

    def standardise(self, images: Tensor) -> Tensor:
        """Return pixels with the mean 0 and sd 1 of the training images."""
        return (images - self.shift) / self.spread

    def raw_map(self, images: Tensor, condition: Tensor | None = None) -> tuple[Tensor, VAEOutput]:
        """Return -log p of each 2 x 2 pixels in nats, (N, S / 2, S / 2), and the VAE's terms."""
        x = self.standardise(images)
        output = self.vae(x, sample=False, **self._given(condition))
        nll = self.vae.likelihood.nll(output.recon, x).mean(1, keepdim=True)
        return functional.avg_pool2d(nll, 2)[:, 0], output

    def forward(self, images: Tensor, condition: Tensor | None = None) -> NetworkOutput:
        """Inspect images (N, C, S, S), float32 in [0, 1]."""
        condition = self.best_fitting(images, condition)
        nll_map, output = self.raw_map(images, condition)
        heat, statistics = self.on_scale(nll_map, self.bank(images).statistics, condition)
        zeros = torch.zeros_like(output.nll)
        return NetworkOutput(heat, heat, statistics, output.nll, output.kl, zeros, condition)

    def on_scale(
        self, nll_map: Tensor, statistics: Tensor, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return heat in sd of held-out normals, and statistics as they differ from usual."""
        if self.levels is None or condition is None:
            return self.heat_scale(nll_map), statistics
        heat = self.levels.heat(nll_map, condition)
        return heat, self.levels.difference(statistics, condition)

    def best_fitting(self, images: Tensor, condition: Tensor | None) -> Tensor | None:
        """Replace unknown conditions by those with the smallest negative ELBO."""
        if self.levels is None:
            return None
        if condition is None:
            condition = torch.full((len(images),), -1, device=images.device)
        unknown = condition < 0
        if not unknown.any():
            return condition
        x, costs = self.standardise(images), []
        for code in range(len(self.levels.usual)):
            output = self.vae(x, sample=False, condition=torch.full_like(condition, code))
            costs.append(output.nll + output.kl)
        return torch.where(unknown, torch.stack(costs).argmin(0), condition)

    def preview(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the expected image, (N, C, S, S) in [0, 1]."""
        given = self._given(self.best_fitting(images, condition))
        return self._image(self.vae.reconstruct(self.standardise(images), **given))

    def latents(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return posterior means, (N, Z); of a VQ model the chosen codes, position by position."""
        given = self._given(self.best_fitting(images, condition))
        return self.vae.infer(self.standardise(images), drawn=False, generator=None, **given).mean

    def decode(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the likelihood's mean for latents (N, Z), as images (N, C, S, S) in [0, 1].

        A VQ model takes the nearest codes, for its decoder knows nothing else. A conditional one
        must be given the condition.
        """
        z = self._code_map(z) if isinstance(self.vae, VQVAE) else z
        params = self.vae.decode(z, **self._given(condition))
        return self._image(self.vae.likelihood.mean(params))

    def draw_prior(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw latents (n, Z) from the model's own prior: the codes of a VQ model uniformly.

        An autoencoder has no prior and is refused.
        """
        if not isinstance(self.vae, VQVAE):
            return self.vae.draw_prior(n, generator)
        shape = (n, self._n_positions())
        indices = torch.randint(self.vae.codebook_size, shape, generator=generator)
        return self.vae.codes[indices].flatten(1)

    def _code_map(self, z: Tensor) -> Tensor:
        """Return the nearest codes as a map (N, code_dim, h, w)."""
        vae = self.vae
        assert isinstance(vae, VQVAE)  # noqa: S101 - asked by the caller
        if z.shape[1] != self._n_positions() * vae.code_dim:
            raise ConfigError(
                f"This VQ model has {self._n_positions()} codes of {vae.code_dim} numbers; got "
                f"latents of shape {tuple(z.shape)}. Give what transform() returned."
            )
        codes = vae.codes[vae.nearest(z.reshape(len(z), -1, vae.code_dim))]  # (N, P, code_dim)
        return codes.movedim(-1, 1).reshape(len(z), -1, *self._map_size())

    def _map_size(self) -> tuple[int, ...]:
        size: tuple[int, ...] = self.vae.decoder.map_size  # type: ignore[assignment]  # convolutional decoders have it
        return size

    def _n_positions(self) -> int:
        height, width = self._map_size()
        return height * width

    def _given(self, condition: Tensor | None) -> dict[str, Tensor]:
        """Return what the VAE wants to be told besides the image."""
        return {} if self.levels is None or condition is None else {"condition": condition}

    def _image(self, standard: Tensor) -> Tensor:
        return (standard * self.spread + self.shift).clamp(0.0, 1.0)


def _description(spec: NetworkSpec) -> ModelDescription:
    """Return what the network is made of; earlier versions knew only the plain one."""
    if spec.description is not None:
        return spec.description
    return PIXEL_MEMBERS["conv"].describe(spec.channels, latent_dim=spec.latent_dim)


@dataclass(frozen=True)
class PixelMember:
    """One member of the family, for images.

    Parameters
    ----------
    kind, prior : str
        As in `ModelDescription`.
    latent_dim : int
        Unless the user chooses; of "vq" the length of a code, of "ladder" the latents next to
        the image.
    beta : float, optional
        Weight of the KL; None where the objective has no KL that could be weighted.
    corruption : callable, optional
        What training does to its inputs.
    hidden : tuple of int
        Widths of dense layers, in place of the convolutions.
    n_draws : int
        Of the importance-weighted bound.
    """

    kind: str
    prior: str = "normal"
    latent_dim: int = 128
    beta: float | None = 1.0
    corruption: Callable[[Tensor, Generator], Tensor] | None = None
    hidden: tuple[int, ...] = ()
    n_draws: int = 4

    def describe(
        self,
        channels: int,
        *,
        latent_dim: int | None = None,
        n_conditions: int = 0,
        n_images: int = 2 * _MOST_COMPONENTS,
    ) -> ModelDescription:
        """Return what the model is made of, for images of so many channels.

        ``n_conditions`` is for "conditional"; a learned prior gets at most one component for every
        two of the ``n_images``.
        """
        plain = ModelDescription(
            self.kind,
            (channels, PIXEL_SIZE, PIXEL_SIZE),
            latent_dim=latent_dim or self.latent_dim,
            channels=() if self.hidden else _CHANNELS,
            prior=self.prior,
            n_conditions=n_conditions,
            n_components=max(1, min(_MOST_COMPONENTS, n_images // 2)),
            n_draws=self.n_draws,
        )
        return replace(plain, hidden=self.hidden) if self.hidden else plain


PIXEL_MEMBERS: Final = {
    "conv": PixelMember("vae"),
    "beta": PixelMember("beta", beta=4.0),
    "denoising": PixelMember(
        "denoising", corruption=Chain((GaussianNoise(0.2), MaskingNoise(0.1)))
    ),
    "autoencoder": PixelMember("autoencoder", beta=None),
    "conditional": PixelMember("conditional"),
    "vq": PixelMember("vq", latent_dim=16, beta=None),
    "ladder": PixelMember("ladder", latent_dim=64, hidden=(512, 256, 128)),
    "importance_weighted": PixelMember("importance_weighted", beta=None),
    "mixture": PixelMember("vae", prior="mixture"),
    "vamp": PixelMember("vae", prior="vamp"),
}

ALIASES: Final = {"vae": "conv"}

MODELS: Final = ("bank", *PIXEL_MEMBERS)


def model_name(model: object) -> str:
    """Return the name in `MODELS` that a user's ``model=`` stands for."""
    return ALIASES.get(str(model), str(model))
