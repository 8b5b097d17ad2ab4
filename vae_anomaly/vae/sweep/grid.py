"""Which models a sweep trains, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vae_anomaly.errors import ConfigError


@dataclass(frozen=True)
class SweepGrid:
    """The models of a sweep: every beta with every latent size.

    Parameters
    ----------
    betas : tuple of float, >= 0
        Weights of the KL; sorted, each counted once.
    latent_dims : tuple of int, >= 1
        Sorted, each counted once.
    autoencoder : bool
        Train the plain autoencoder of each latent size as well.

    Raises
    ------
    ConfigError
        If there is no beta or no latent size, or one is out of range.

    Examples
    --------
    >>> SweepGrid((4, 0.5, 1), (8, 2)).cells[:3]
    ((None, 2), (0.5, 2), (1.0, 2))
    """

    betas: tuple[float, ...] = (0.5, 1.0, 4.0)
    latent_dims: tuple[int, ...] = (2, 8)
    autoencoder: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        if not self.betas:
            raise ConfigError("A sweep needs at least one beta; got none. Give --beta 0.5,1,4.")
        if not self.latent_dims:
            raise ConfigError(
                "A sweep needs at least one latent size; got none. Give --latent-dim 2,8."
            )
        for beta in self.betas:
            if not (math.isfinite(beta) and beta >= 0):
                raise ConfigError(
                    f"beta weighs the KL and must be a finite number >= 0. Got {beta:g}. "
                    "Give for example --beta 0.5,1,4."
                )
        for size in self.latent_dims:
            if size != int(size) or size < 1:
                raise ConfigError(
                    f"A latent size must be a whole number >= 1. Got {size}. "
                    "Give for example --latent-dim 2,8."
                )
        object.__setattr__(self, "betas", tuple(sorted({float(beta) for beta in self.betas})))
        object.__setattr__(self, "latent_dims", tuple(sorted({int(z) for z in self.latent_dims})))

    @property
    def cells(self) -> tuple[tuple[float | None, int], ...]:
        """Beta (None for the autoencoder) and latent size of each model, in their order."""
        models: tuple[float | None, ...] = (*((None,) if self.autoencoder else ()), *self.betas)
        return tuple((beta, size) for size in self.latent_dims for beta in models)


@dataclass(frozen=True)
class SweepSettings:
    """What all models of a sweep share.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the dense layers; empty for a linear VAE.
    channels : tuple of int
        Channels of the convolutions, used instead of dense layers where given.
    activation : str
    sigma : float, optional
        Standard deviation of the Gaussian likelihood, in the unit of the data. With 1, the loss
        is half the summed squared error plus beta times the KL. None learns one sigma for all
        dimensions: sigma then grows and shrinks with beta, and takes back a part of its effect.
    max_steps, batch_size : int
        Every model takes exactly this many steps and keeps its last weights.
    lr : float
        Falls to 0 along a cosine.
    random_state : int

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    hidden: tuple[int, ...] = (64,)
    channels: tuple[int, ...] = ()
    activation: str = "silu"
    sigma: float | None = 1.0
    max_steps: int = 1000
    batch_size: int = 128
    lr: float = 2e-3
    random_state: int = 0

    def __post_init__(self) -> None:
        """Refuse values with which nothing can be trained."""
        if self.sigma is not None and not (math.isfinite(self.sigma) and self.sigma > 0):
            raise ConfigError(
                f"sigma must be a number > 0, or learned. Got {self.sigma:g}. "
                "Give --sigma 1, or --sigma learned."
            )
        for name in ("max_steps", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"The {name!r} parameter of SweepSettings must be > 0. "
                    f"Got {getattr(self, name)}."
                )
