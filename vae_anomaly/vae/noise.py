"""Noise for denoising autoencoders: Gaussian, masking and swapping.

References
----------
Vincent et al., Extracting and Composing Robust Features with Denoising Autoencoders, 2008.
Im et al., Denoising Criterion for Variational Auto-Encoding Framework, 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vae_anomaly.errors import check_parameter

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class GaussianNoise:
    """Add Gaussian noise.

    Parameters
    ----------
    sigma : float, >= 0
        Standard deviation in the unit of the data.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a negative standard deviation."""
        check_parameter(self.sigma >= 0, self, "sigma", ">= 0", self.sigma)

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a noisy copy of a batch of any shape."""
        return x + self.sigma * torch.randn(x.shape, generator=generator, device=x.device)


@dataclass(frozen=True)
class MaskingNoise:
    """Replace random cells by one value.

    Parameters
    ----------
    share : float in [0, 1]
        Expected share of cells that are replaced.
    value : float
    """

    share: float = 0.1
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a share outside [0, 1]."""
        check_parameter(0 <= self.share <= 1, self, "share", "in [0, 1]", self.share)

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a masked copy of a batch of any shape."""
        return x.masked_fill(_chosen(x, self.share, generator), self.value)


@dataclass(frozen=True)
class SwapNoise:
    """Replace random cells by the same column's value in another sample of the batch.

    The column keeps its distribution, whatever its scale or kind; only the dependence between
    columns is broken. Suits tables.

    Parameters
    ----------
    share : float in [0, 1]
        Expected share of cells that are replaced.
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse a share outside [0, 1]."""
        check_parameter(0 <= self.share <= 1, self, "share", "in [0, 1]", self.share)

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Return a copy of a batch of shape (N, D) with cells from other rows."""
        rows = torch.randint(len(x), x.shape, generator=generator, device=x.device)
        return torch.where(_chosen(x, self.share, generator), x.gather(0, rows), x)


@dataclass(frozen=True)
class Chain:
    """Apply several corruptions one after another.

    Parameters
    ----------
    steps : tuple of callables
    """

    steps: tuple[Callable[[Tensor, Generator], Tensor], ...]

    def __call__(self, x: Tensor, generator: Generator) -> Tensor:
        """Return the batch after every step."""
        for step in self.steps:
            x = step(x, generator)
        return x


def _chosen(x: Tensor, share: float, generator: Generator) -> Tensor:
    return torch.rand(x.shape, generator=generator, device=x.device) < share
