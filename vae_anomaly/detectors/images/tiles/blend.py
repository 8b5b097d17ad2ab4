"""From the maps of overlapping tiles to the map of their picture, and from that to numbers.

A tile knows little of what lies beside it, so its map is least sure at its border. Where tiles
overlap each counts by how far inside of it a cell lies; the sum has no seams, and a defect on the
border of two tiles is one region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vae_anomaly.arrays import AnyFloats, Bools, Floats, Floats32
from vae_anomaly.detectors.images.pooling import POOL_SHARES, pool_maps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vae_anomaly.detectors.images.tiles.grid import TileGrid


class TileBlend:
    """Collect the maps of tiles, a few at a time, and join them to the map of the picture.

    Parameters
    ----------
    grid : TileGrid

    Examples
    --------
    >>> from vae_anomaly.detectors.images.tiles.grid import TileGrid
    >>> blend = TileBlend(TileGrid(64, 96, tile=64, overlap=0.25, cell=8))
    >>> blend.add([0, 1], np.ones((2, 8, 8)))
    >>> blend.map().shape, float(blend.map().min()), float(blend.map().max())
    ((8, 12), 1.0, 1.0)
    """

    def __init__(self, grid: TileGrid) -> None:
        self.grid = grid
        self._weight = _weight(grid)
        self._sum = np.zeros(grid.cells)
        self._total = np.zeros(grid.cells)

    def add(self, numbers: Iterable[int], maps: AnyFloats) -> None:
        """Add the maps (n, g, g) of n tiles."""
        for number, tile in zip(numbers, maps, strict=True):
            window = self.grid.window(number)
            self._sum[window] += self._weight * tile
            self._total[window] += self._weight

    def map(self) -> Floats32:
        """Return the picture's map (gh, gw); 0 where no tile was added."""
        joined = np.divide(self._sum, self._total, out=self._sum.copy(), where=self._total > 0)
        return np.asarray(joined, np.float32)


def pool_tiles(heat: AnyFloats, grid: TileGrid, inside: Bools | None = None) -> Floats:
    """Pool a picture's map so that one hot tile among many cold ones is found.

    Parameters
    ----------
    heat : ndarray of shape (gh, gw)
        The joined map of the picture.
    grid : TileGrid
    inside : ndarray of shape (gh, gw), bool, optional
        Cells whose mean is that of the picture; all by default. What the others hold should be
        what is usual.

    Returns
    -------
    ndarray of shape (P,), float64
        As `pool_maps`: for each share below 1 the mean of the highest cells of a tile, in the tile
        where it is greatest; for the share 1 the mean of the whole picture, which wear raises.
    """
    tiles = np.stack([heat[grid.window(number)] for number in range(len(grid))])
    pooled: Floats = pool_maps(tiles).max(axis=0)
    pooled[[share == 1.0 for share in POOL_SHARES]] = float(
        np.mean(heat if inside is None else heat[inside], dtype=np.float64)
    )
    return pooled


def _weight(grid: TileGrid) -> Floats:
    """Return how much each cell of a tile counts, (g, g) in (0, 1]: falling towards its border."""
    inside = np.arange(grid.side) + 0.5
    reach = max(1.0, grid.overlap * grid.side)
    ramp = np.minimum(1.0, np.minimum(inside, inside[::-1]) / reach)
    return np.asarray(np.outer(ramp, ramp), np.float64)
