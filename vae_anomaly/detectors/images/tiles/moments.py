"""What is usual at each place of a large image, counted while images pass by one by one."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from vae_anomaly.detectors.images.features.filter_bank import blur
from vae_anomaly.detectors.images.tiles.network import TilePositions

_SPREAD_PRIOR: Final = 5.0  # images that the common variance of a channel is worth


class PlaceMoments:
    """Running mean and variance of maps at each place of the large image (Welford).

    Parameters
    ----------
    shape : tuple of int
        ``(K, C, g, g)`` for K tiles.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n = 0
        self.mean = torch.zeros(shape)
        self.squares = torch.zeros(shape)
        self.known = torch.zeros(shape[0], dtype=torch.bool)

    def add(self, place: Tensor, maps: Tensor) -> None:
        """Take in the maps (m, C, g, g) of an image's tiles ``place`` (m,); it is the last of n.

        Every image has the same tiles; those that are background in all of them never come.
        """
        self.known[place] = True
        change = maps - self.mean[place]
        self.mean[place] += change / self.n
        self.squares[place] += change * (maps - self.mean[place])

    def share_left(self) -> float:
        """Return how much of the variance is left when the place in the large image is known.

        Returns
        -------
        float
            Expected squared error of predicting a new image by the mean at the same place,
            beside that by the mean at the same place of any tile; mean over channels. Above 1 where
            a place says nothing.
        """
        within = self.squares[self.known] / max(self.n - 1, 1)
        total = within.mean(0) + self.mean[self.known].var(0, correction=0)
        known = within.mean(dim=(0, 2, 3)) * (1.0 + 1.0 / self.n)
        return float((known / total.mean(dim=(1, 2)).clamp(min=1e-12)).mean())

    def positions(self) -> TilePositions:
        """Return the places' means, and sds smoothed over neighbours and drawn to the channel's."""
        variance = blur(self.squares / max(self.n - 1, 1), 1.0)
        common = variance[self.known].mean(dim=(0, 2, 3), keepdim=True)
        drawn = (self.n * variance + _SPREAD_PRIOR * common) / (self.n + _SPREAD_PRIOR)
        positions = TilePositions(tuple(self.mean.shape))
        positions.mean.copy_(self.mean)
        positions.spread.copy_((drawn + 1e-3).sqrt())
        return positions

    def unseen(self, maps: Tensor, clean: Tensor, numbers: Tensor) -> Tensor:
        """Standardise training tiles as if their own images were not part of the means.

        Parameters
        ----------
        maps : Tensor of shape (m, C, g, g)
            Of tiles or of corrupted copies of them.
        clean : Tensor of the same shape
            Of the tiles themselves.
        numbers : Tensor of shape (m,)
        """
        positions = self.positions()
        own = (clean - self.mean[numbers]) / (self.n - 1)
        standard: Tensor = positions(maps, numbers) + own / positions.spread[numbers]
        return standard
