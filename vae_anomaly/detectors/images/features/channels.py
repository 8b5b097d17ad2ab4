"""From the maps of a backbone, of any size and width, to the channels that the VAEs see.

All channels are kept, on one grid of a cell per 16 x 16 pixels. Each map is averaged to the grid
(interpolated where it is coarser), then over 3 x 3 cells without counting what lies outside, and
each channel is standardised over the images and positions of a few training images. What is wider
than `MAX_MAPS` channels is brought to so many principal directions, which bounds memory. They are
turned at random among themselves: so all vary alike, and the VAEs, which standardise once more, do
not blow up the weakest of them.

Models that were saved before see 32 fixed random directions, shared evenly by the maps, on cells of
8 x 8 pixels, and keep them.

References
----------
Johnson and Lindenstrauss, Extensions of Lipschitz mappings into a Hilbert space, 1984.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

MODULE_CELL: Final = 16
"""Side of a cell of a backbone's grid, in pixels of the resized image."""

MAX_MAPS: Final = 256
"""Channels that the VAEs see at most."""

_SPREAD_FLOOR: Final = 1e-6


class AllChannels(nn.Module):
    """Every channel of a backbone's maps, standardised; principal directions of very many.

    Parameters
    ----------
    grid : int
        Cells along one side.
    widths : sequence of int
        Channels of each map.
    n_maps : int
        Channels that come out; fewer than go in where they are projected.
    """

    mean: Tensor
    spread: Tensor
    directions: Tensor

    def __init__(self, grid: int, widths: Sequence[int], n_maps: int) -> None:
        super().__init__()
        width = sum(widths)
        self.grid = grid
        self.n_channels = n_maps
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        if n_maps < width:
            self.register_buffer("directions", torch.zeros(n_maps, width))

    @classmethod
    def fit(cls, grid: int, looks: Iterable[Sequence[Tensor]]) -> tuple[AllChannels, list[int]]:
        """Learn from what a backbone says of a few images; the channels of each map come second.

        ``looks`` are lists of maps (n, F, h, w).
        """
        moments, widths = _Moments(), [0]
        for maps in looks:
            widths = [part.shape[1] for part in maps]
            moments.add(_smooth_cells(maps, grid))
        channels = cls(grid, widths, min(sum(widths), MAX_MAPS))
        mean, covariance = moments.result()
        sd = covariance.diagonal().clamp(min=0.0).sqrt()
        spread = torch.where(sd > _SPREAD_FLOOR, sd, torch.ones_like(sd))
        channels.mean.copy_(mean)
        channels.spread.copy_(spread)
        if channels.n_channels < len(mean):
            correlation = covariance / spread / spread[:, None]
            channels.directions.copy_(_principal(correlation, channels.n_channels))
        return channels, widths

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, n_channels, grid, grid), float32, of maps (N, F, h, w)."""
        cells = _smooth_cells(maps, self.grid)
        standard = (cells - self.mean[:, None, None]) / self.spread[:, None, None]
        if self.n_channels == standard.shape[1]:
            return standard
        return functional.conv2d(standard, self.directions[:, :, None, None])


class RandomDirections(nn.ModuleList):
    """Fixed random directions of each map, as models of earlier versions see them.

    ``n_maps`` of them are shared evenly by maps of the ``widths``, on ``grid`` cells a side.
    """

    def __init__(self, grid: int, widths: Sequence[int], n_maps: int) -> None:
        most = max(1, n_maps // len(widths))
        sizes = [min(width, most) for width in widths]
        super().__init__(map(_Level, widths, sizes))
        self.grid = grid
        self.n_channels = sum(sizes)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, n_channels, grid, grid), float32, of maps (N, F, h, w)."""
        parts = [level(_on_grid(part, self.grid)) for level, part in zip(self, maps, strict=True)]
        return torch.cat(parts, 1)


class _Level(nn.Module):
    """One map in `RandomDirections`: standardised channels, projected; all of it was stored."""

    mean: Tensor
    spread: Tensor
    directions: Tensor

    def __init__(self, width: int, n_kept: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("directions", torch.zeros(n_kept, width))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, kept, G, G) of (N, width, G, G)."""
        standard = (maps - self.mean[:, None, None]) / self.spread[:, None, None]
        return functional.conv2d(standard, self.directions[:, :, None, None])


class _Moments:
    """Mean and covariance of all channels together, over images and positions, float64."""

    def __init__(self) -> None:
        self.n = 0
        self.total = torch.zeros(0)
        self.products = torch.zeros(0)

    def add(self, maps: Tensor) -> None:
        rows = maps.transpose(0, 1).flatten(1).double()  # (F, n * G * G)
        total, products = rows.sum(1), rows @ rows.T
        self.total = self.total + total if self.n else total
        self.products = self.products + products if self.n else products
        self.n += rows.shape[1]

    def result(self) -> tuple[Tensor, Tensor]:
        """Return mean (F,) and covariance (F, F)."""
        mean = self.total / self.n
        return mean, self.products / self.n - torch.outer(mean, mean)


def _principal(correlation: Tensor, n: int) -> Tensor:
    """Return the n strongest directions (n, F), turned among themselves so that all vary alike."""
    strongest = torch.linalg.eigh(correlation)[1][:, -n:]
    drawn = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned: Tensor = torch.linalg.qr(drawn)[0] @ strongest.T.to(drawn)
    return turned


def _smooth_cells(maps: Sequence[Tensor], grid: int) -> Tensor:
    """Return all channels on the grid, float32, each cell the mean of itself and its neighbours."""
    return torch.cat([_on_cells(part.float(), grid) for part in maps], 1)


def _on_cells(maps: Tensor, grid: int) -> Tensor:
    down, along = (_cells_matrix(side, grid).to(maps) for side in maps.shape[2:])
    return down @ maps @ along.T


@lru_cache(maxsize=64)
def _cells_matrix(n: int, grid: int) -> Tensor:
    """Return what brings a line of n values to a grid, each cell the mean of three, (grid, n).

    At both ends it is the mean of two. Two such products are much faster than two poolings.
    """
    lines = torch.eye(n)[None]
    if n >= grid:
        cells = functional.adaptive_avg_pool1d(lines, grid)
    else:
        cells = functional.interpolate(lines, grid, mode="linear")
    smooth = functional.avg_pool1d(cells, 3, 1, 1, count_include_pad=False)
    return smooth[0].T.contiguous()


def _on_grid(maps: Tensor, grid: int) -> Tensor:
    """Bring maps (N, F, h, w) to (N, F, grid, grid), float32."""
    maps = maps.float()
    if maps.shape[2:] == (grid, grid):
        return maps
    if min(maps.shape[2:]) >= grid:
        return functional.adaptive_avg_pool2d(maps, grid)
    return functional.interpolate(maps, (grid, grid), mode="bilinear", align_corners=False)
