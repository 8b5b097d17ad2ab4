"""Where overlapping tiles lie in a large picture, and what each of them shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from vae_anomaly.arrays import AnyArray
from vae_anomaly.errors import ConfigError


@dataclass(frozen=True)
class TileGrid:
    """Square tiles that cover a picture, at equal distances and whole cells.

    Parameters
    ----------
    height, width : int, pixels
        Of the picture; neither is smaller than a tile.
    tile : int, pixels
        Side of a tile; whole cells.
    overlap : float in [0, 0.5]
        Least share of a tile's side that it has in common with the next one.
    cell : int, pixels
        Side of a cell of the heat map. A picture that is no whole number of cells is continued by
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
                f"A picture of {self.height} x {self.width} pixels holds no tile of {self.tile}. "
                "Take smaller tiles."
            )

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the picture's heat map, in cells."""
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
        """Return the cells of a tile on the picture's map."""
        row, column = self.corner(number)
        return slice(row, row + self.side), slice(column, column + self.side)

    def cut(self, pixels: AnyArray, number: int) -> AnyArray:
        """Return the pixels of one tile, (tile, tile) or (tile, tile, C); a view where it can be.

        Parameters
        ----------
        pixels : ndarray of shape (H, W) or (H, W, C)
        number : int
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
