"""Where a large image lies, and what of it counts, before it is cut into tiles.

Both are found as for images taken as a whole: on images resized to ``image_size``. The shift is
then brought to the pixels of the large image, which is as precise as the reduced pixels are, and
`Refinement` looks again at one window at full resolution. Nothing is resized for the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from vae_anomaly.arrays import AnyArray, Bools, Floats32, Ints
from vae_anomaly.detectors.images.place.foreground import Foreground
from vae_anomaly.detectors.images.place.placing import Placing
from vae_anomaly.detectors.images.place.registration import (
    Shift,
    coarse_shift,
    shift_image,
    shift_maps,
)
from vae_anomaly.detectors.images.tiles.grid import TileGrid
from vae_anomaly.errors import DataError, ImageError


@dataclass(frozen=True)
class PlacedImage:
    """A large image that lies where the others lie, its background painted over.

    Attributes
    ----------
    pixels : ndarray of shape (H, W) or (H, W, C)
    shift : (int, int)
        Pixels by which it was moved up and left.
    """

    name: str
    pixels: AnyArray
    shift: Shift = (0, 0)
    foreground: Foreground | None = None

    def tiles(self, grid: TileGrid) -> Ints:
        """Return the numbers of the tiles that show any of the foreground."""
        if self.foreground is None:
            return np.arange(len(grid))
        part = self.foreground.on(grid.cells)
        return np.array([k for k in range(len(grid)) if part[grid.window(k)].any()], np.int64)

    def inside(self, grid: TileGrid) -> Bools:
        """Return the cells that are looked at: foreground, and nothing that moving made up."""
        seen = np.ones(grid.cells, bool)
        if self.shift != (0, 0):
            cells = -np.array(self.shift) / grid.cell
            outward = np.where(cells < 0, np.floor(cells), np.ceil(cells)).astype(int)
            seen = ndimage.shift(seen.astype(np.uint8), outward, order=0, cval=0) > 0
        return seen if self.foreground is None else seen & self.foreground.on(grid.cells)

    def moved_back(self, joined: Floats32, grid: TileGrid) -> Floats32:
        """Return a map (gh, gw) where the image came with its part."""
        by = np.array(self.shift) / (grid.cell * np.array(grid.cells))
        moved: Floats32 = shift_maps(joined[None], by[None])[0]
        return moved


@dataclass(frozen=True)
class TilePlacing:
    """What is done to every large image before it is cut.

    Parameters
    ----------
    channels : {1, 3}
        Of the reduced images on which the shift is found.
    """

    placing: Placing
    channels: int = 1

    def __call__(self, name: str, pixels: AnyArray) -> PlacedImage:
        """Move an image, and paint its background.

        Raises
        ------
        ImageError
            If pixels have no meaning; names the image.
        """
        shift, foreground = self._shift(name, pixels), self.placing.foreground
        pixels = shift_image(pixels, shift)
        if foreground is not None:
            pixels = foreground.paint(pixels)
        return PlacedImage(name, pixels, shift, foreground)

    def _shift(self, name: str, pixels: AnyArray) -> Shift:
        registration, refinement = self.placing.registration, self.placing.refinement
        if registration is None:
            return 0, 0
        try:
            shift = coarse_shift(registration, pixels, self.channels)
            if refinement is None:
                return shift
            down, right = refinement(pixels, shift)
        except ImageError:
            raise
        except DataError as err:
            raise ImageError(f"{name}: {err}", code="values") from err
        return shift[0] + down, shift[1] + right
