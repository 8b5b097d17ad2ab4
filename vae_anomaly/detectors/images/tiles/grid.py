"""Where overlapping tiles lie in a large image, what each shows, and how their maps are joined.

A tile knows little of what lies beside it, so its map is least sure at its border. Where tiles
overlap each counts by how far inside of it a cell lies; the sum has no seams, and a defect on the
border of two tiles is one region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from vae_anomaly.arrays import AnyArray, AnyFloats, Bools, Floats, Floats32
from vae_anomaly.detectors.images.score.pooling import POOL_SHARES, pool_maps
from vae_anomaly.errors import ConfigError


@dataclass(frozen=True)
class TileGrid:
    """Square tiles that cover an image, at equal distances and whole cells.

    Parameters
    ----------
    height, width : int, pixels
        Of the image; neither is smaller than a tile.
    tile : int, pixels
        Side of a tile; whole cells.
    overlap : float in [0, 0.5]
        Least share of a tile's side that it has in common with the next one.
    cell : int, pixels
        Side of a cell of the heatmap. An image that is no whole number of cells is continued by
        repeating its last row and column.

    Examples
    --------
    >>> grid = TileGrid(100, 160, tile=64, overlap=0.25, cell=8)
    >>> grid.rows, grid.columns, len(grid), grid.cells
    ((0, 5), (0, 6, 12), 6, (13, 20))
    """

    height: int
    width: int
    tile: int
    overlap: float
    cell: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < self.tile:
            raise ConfigError(
                f"An image of {self.height} x {self.width} pixels holds no tile of {self.tile}. "
                "Take smaller tiles."
            )

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the image's heatmap, in cells."""
        return ceil(self.height / self.cell), ceil(self.width / self.cell)

    @property
    def side(self) -> int:
        """Cells along one side of a tile."""
        return self.tile // self.cell

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """First row of cells of the tiles."""
        return self._starts(self.cells[0])

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """First column of cells of the tiles."""
        return self._starts(self.cells[1])

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def corner(self, number: int) -> tuple[int, int]:
        """Return first row and column of a tile, in cells; tiles are counted along rows."""
        row, column = divmod(number, len(self.columns))
        return self.rows[row], self.columns[column]

    def window(self, number: int) -> tuple[slice, slice]:
        """Return the cells of a tile on the image's map."""
        row, column = self.corner(number)
        return slice(row, row + self.side), slice(column, column + self.side)

    def cut(self, pixels: AnyArray, number: int) -> AnyArray:
        """Return the pixels of one tile, (tile, tile) or (tile, tile, C); a view where it can be.

        Parameters
        ----------
        pixels : ndarray of shape (H, W) or (H, W, C)
        """
        top, left = (self.cell * start for start in self.corner(number))
        part = pixels[top : top + self.tile, left : left + self.tile]
        missing = [(0, self.tile - part.shape[0]), (0, self.tile - part.shape[1])]
        if missing == [(0, 0), (0, 0)]:
            return part
        return np.pad(part, [*missing, *[(0, 0)] * (pixels.ndim - 2)], mode="edge")

    def _starts(self, cells: int) -> tuple[int, ...]:
        reach = cells - self.side
        shared = round(self.overlap * self.side)
        count = ceil(reach / max(1, self.side - shared)) + 1
        return tuple(np.rint(np.linspace(0, reach, count)).astype(int).tolist())


class TileBlend:
    """Collect the maps of tiles, a few at a time, and join them to the map of the image.

    Examples
    --------
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
        """Return the image's map (gh, gw); 0 where no tile was added."""
        joined = np.divide(self._sum, self._total, out=self._sum.copy(), where=self._total > 0)
        return np.asarray(joined, np.float32)


def pool_tiles(joined: AnyFloats, grid: TileGrid, inside: Bools | None = None) -> Floats:
    """Pool an image's map (gh, gw) so that one hot tile among many cold ones is found, (P,).

    As `pool_maps`: for each share below 1 the mean of the highest cells of a tile, in the tile
    where it is greatest; for the share 1 the mean of the whole image, which wear raises: of the
    cells ``inside``, if given. What the others hold should be what is usual.
    """
    tiles = np.stack([joined[grid.window(number)] for number in range(len(grid))])
    pooled: Floats = pool_maps(tiles).max(axis=0)
    pooled[[share == 1.0 for share in POOL_SHARES]] = float(
        np.mean(joined if inside is None else joined[inside], dtype=np.float64)
    )
    return pooled


def _weight(grid: TileGrid) -> Floats:
    """Return how much each cell of a tile counts, (g, g) in (0, 1]: falling towards its border."""
    inside = np.arange(grid.side) + 0.5
    reach = max(1.0, grid.overlap * grid.side)
    ramp = np.minimum(1.0, np.minimum(inside, inside[::-1]) / reach)
    return np.asarray(np.outer(ramp, ramp), np.float64)
