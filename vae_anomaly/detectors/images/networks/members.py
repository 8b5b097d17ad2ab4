"""Which member of the family looks at the pixels, and how it is trained.

Every member sees the same 64-pixel images, has the same convolutions (the ladder has dense
layers) and the same Gaussian likelihood with a learned sigma per channel: what differs is the
latents, their prior and the objective.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vae_anomaly.vae.family import ModelDescription
from vae_anomaly.vae.noise import Chain, GaussianNoise, MaskingNoise

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

PIXEL_SIZE: Final = 64
"""Side, in pixels, of the images that every member on pixels sees."""

_CHANNELS: Final = (32, 64, 128)
_MOST_COMPONENTS: Final = 20


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

        Parameters
        ----------
        channels : {1, 3}
        n_conditions : int
            For "conditional".
        n_images : int
            A learned prior gets at most one component for every two of them.
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
