"""Where the fine detail of images is, how hot it is drawn, and what it is called.

A spot of a few pixels hardly warms a map whose cells are joined and smoothed. So the cells in
which channels peak are drawn into the map that is shown, as hot as they are surprising: what fewer
than 1 in 100 good images have reaches the level from which regions are outlined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyFloats, AnyInts, Bools, Floats, Floats32, Ints
from vae_anomaly.detectors.images.fine.channels import channel_words
from vae_anomaly.detectors.images.score.evidence import GLOBAL_FROM
from vae_anomaly.detectors.images.score.fine_voice import FINE_FROM

DRAWN_FROM: Final = GLOBAL_FROM
"""Surprise, in nats, from which fine detail is drawn into the heatmap: p = 1 %."""


def drawn_heat(surprise: Floats, level: float) -> Floats:
    """Return how hot fine detail is drawn, in sd; a little above ``level`` from p = 1 % on.

    It grows with the logarithm of the surprise (nats), which has no end.
    """
    beyond = np.log(np.maximum(surprise, DRAWN_FROM) / DRAWN_FROM)
    return np.asarray(np.where(surprise < DRAWN_FROM, -np.inf, level * (1.1 + beyond)))


@dataclass(frozen=True)
class FinePlaces:
    """The strongest cell of each channel of fine detail.

    Attributes
    ----------
    surprise : ndarray of shape (N, C), float64, nats
        What each channel would say alone.
    row, column : ndarray of shape (N, C), int64
        Its cell; outside of the grid where moving the image took it out of sight.
    grid, image_size : int
        Cells, and pixels of the resized image, along a side.
    """

    surprise: Floats
    row: Ints
    column: Ints
    grid: int
    image_size: int

    def take(self, rows: AnyInts) -> FinePlaces:
        """Return those of some of the images, in the order of ``rows``."""
        surprise, row, column = self.surprise[rows], self.row[rows], self.column[rows]
        return FinePlaces(surprise, row, column, self.grid, self.image_size)

    def moved(self, shifts: AnyFloats) -> FinePlaces:
        """Return them where the images themselves lie: shifts (N, 2) are shares of the side."""
        down, right = np.rint(shifts.T * self.grid).astype(np.int64)[:, :, None]
        row, column = self.row + down, self.column + right
        return FinePlaces(self.surprise, row, column, self.grid, self.image_size)

    def drawn_on(self, heatmaps: Floats32, level: float) -> Floats32:
        """Return heatmaps (N, G, G) with what is surprising drawn into them, from a level on.

        Their cells may be larger: those of a backbone are.
        """
        heat = drawn_heat(self.surprise, level)
        image, channel = np.nonzero(np.isfinite(heat) & self._in_sight())
        drawn = heatmaps.copy()
        larger = self.grid // heatmaps.shape[1]
        row, column = (cells[image, channel] // larger for cells in (self.row, self.column))
        np.maximum.at(drawn, (image, row, column), heat[image, channel].astype(np.float32))
        return drawn

    def _in_sight(self) -> Bools:
        inside = np.minimum(self.row, self.column) >= 0
        return np.asarray(inside & (np.maximum(self.row, self.column) < self.grid))

    def is_heard(self, i: int) -> bool:
        """Tell whether fine detail of image ``i`` has a part in its score."""
        return bool(self.surprise[i].max() > FINE_FROM)

    def words(self, i: int, size: tuple[int, int]) -> str:
        """Say what the strongest detail of image ``i`` of (height, width) ``size`` is."""
        pixels = float(np.sqrt(size[0] * size[1])) / self.image_size
        return channel_words(int(self.surprise[i].argmax()), pixels)

    def centre(self, i: int, size: tuple[int, int]) -> tuple[float, float]:
        """Return x and y of the middle of its cell, in pixels of the image."""
        channel = int(self.surprise[i].argmax())
        x = (self.column[i, channel] + 0.5) * size[1] / self.grid
        y = (self.row[i, channel] + 0.5) * size[0] / self.grid
        return float(x), float(y)
