"""What a sweep is asked and what it found, one cell for each model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from vae_anomaly.errors import ConfigError, check_parameter
from vae_anomaly.state import from_json

if TYPE_CHECKING:
    import pandas as pd


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
            value = getattr(self, name)
            check_parameter(value > 0, self, name, "> 0", value)


@dataclass(frozen=True)
class SweepCell:
    """One model, measured on the held-out samples.

    Attributes
    ----------
    model : {"autoencoder", "vae"}
    beta : float or None
        None for the autoencoder, as is all that needs a posterior.
    latent_dim : int
    rmse : float
        Root mean squared error of the reconstruction at the posterior mean, over samples and
        dimensions, in the unit of the data.
    nll : float, nats
        Expected -log p(x | z) per sample, over draws from the posterior.
    kl : float or None, nats
        Per sample; never weighted by beta.
    negative_elbo, negative_elbo_per_dim : float or None, nats
        ``nll + kl``, with beta = 1 whatever the model was trained with: an upper bound on
        -log p(x), lower = better.
    active_units : int or None
    expected_active : int or None
        As the theory of linear VAEs predicts from the eigenvalues of the training data.
    collapsed : tuple of int
        Latents, counted from 0, whose posterior mean does not move with the data.
    mutual_info, mutual_info_cap : float or None, nats
        Between data and latents, and the most that the estimate can be.
    sigma : float
        Of the likelihood after training, in the unit of the data.
    warnings : tuple of str
    seconds : float
        Of training; two equal sweeps differ in nothing else, and are compared without it.
    """

    model: str
    beta: float | None
    latent_dim: int
    rmse: float
    nll: float
    kl: float | None = None
    negative_elbo: float | None = None
    negative_elbo_per_dim: float | None = None
    active_units: int | None = None
    expected_active: int | None = None
    collapsed: tuple[int, ...] = ()
    mutual_info: float | None = None
    mutual_info_cap: float | None = None
    sigma: float = 1.0
    warnings: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def name(self) -> str:
        """Return what to call the model by, for people."""
        who = "autoencoder" if self.beta is None else f"beta {self.beta:g}"
        return f"{who}, latent size {self.latent_dim}"

    @property
    def metrics(self) -> dict[str, float]:
        """Return everything measured that is a number."""
        known = {"beta", "latent_dim"}
        return {
            key: float(value)
            for key, value in asdict(self).items()
            if isinstance(value, int | float) and key not in known
        }


@dataclass(frozen=True)
class SweepReport:
    """All cells of a sweep and what they have in common.

    Attributes
    ----------
    cells : tuple of SweepCell
        By latent size; the autoencoder first, then rising beta.
    rmse_mean : float
        Error of always predicting the mean of the training samples, on the held-out samples.
    n_train, n_held_out : int
    in_shape : tuple of int
        Of one sample.
    grid : SweepGrid
    settings : SweepSettings
    source, unit : str
        What was read, and what an error of 1 is, in words.
    notes : tuple of str
    """

    cells: tuple[SweepCell, ...]
    rmse_mean: float
    n_train: int
    n_held_out: int
    in_shape: tuple[int, ...]
    grid: SweepGrid
    settings: SweepSettings
    source: str = ""
    unit: str = "the unit of the data"
    notes: tuple[str, ...] = ()

    @property
    def best(self) -> SweepCell | None:
        """Return the VAE with the lowest -ELBO on held-out samples that uses a latent at all."""
        alive = [cell for cell in self.cells if cell.active_units]
        return min(alive, key=lambda cell: cell.negative_elbo or 0.0, default=None)

    @property
    def out_of_order(self) -> tuple[tuple[SweepCell, SweepCell | None], ...]:
        """Return neighbours whose error does not rise, as it should from the autoencoder to beta.

        The last model of a latent size is compared with predicting the mean, given as None.
        """
        sizes: list[tuple[SweepCell, SweepCell | None]] = []
        for size in self.grid.latent_dims:
            line: list[SweepCell | None] = [c for c in self.cells if c.latent_dim == size]
            for lower, upper in pairwise([*line, None]):
                bound = self.rmse_mean if upper is None else upper.rmse
                if lower is not None and not lower.rmse < bound:
                    sizes.append((lower, upper))
        return tuple(sizes)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        best = self.best
        picked = None if best is None else {"beta": best.beta, "latent_dim": best.latent_dim}
        ordered = not self.out_of_order
        return {**asdict(self), "lowest_negative_elbo": picked, "rmse_rises_with_beta": ordered}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SweepReport:
        """Read what `to_dict` wrote, also after a way through JSON."""
        names = {field.name for field in fields(cls)}
        return from_json(cls, {k: v for k, v in values.items() if k in names})

    def to_frame(self) -> pd.DataFrame:
        """Return the cells as a table, one row each."""
        import pandas as pd

        rows = [asdict(cell) for cell in self.cells]
        for row in rows:
            row["collapsed"] = " ".join(map(str, row["collapsed"]))
            row["warnings"] = " ".join(row["warnings"])
        return pd.DataFrame(rows).assign(rmse_mean=self.rmse_mean)
