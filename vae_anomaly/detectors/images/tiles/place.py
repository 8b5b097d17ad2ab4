"""Where a large picture lies, and what of it counts, before it is cut into tiles.

Both are found as for pictures taken as a whole: on pictures resized to ``image_size``. The shift is
then brought to the pixels of the large picture, which is as precise as the reduced pixels are, and
`Refinement` looks again at one window at full resolution. Nothing is resized for the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from vae_anomaly.arrays import AnyArray, Bools, Floats32, Ints
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.detectors.images.fit.folds import evenly
from vae_anomaly.detectors.images.place.foreground import Foreground
from vae_anomaly.detectors.images.place.refinement import Refinement, window_of
from vae_anomaly.detectors.images.place.registration import (
    Registration,
    Shift,
    shift_maps,
    shift_picture,
)
from vae_anomaly.errors import DataError, ImageError

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.images.image_list import Pictures
    from vae_anomaly.detectors.images.tiles.grid import TileGrid


_PROBES: Final = 16  # pictures whose window is the reference


@dataclass(frozen=True)
class PlacedPicture:
    """A large picture that lies where the others lie, its background painted over.

    Attributes
    ----------
    name : str
    pixels : ndarray of shape (H, W) or (H, W, C)
    shift : (int, int)
        Pixels by which it was moved up and left.
    foreground : Foreground or None
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

    def moved_back(self, heat: Floats32, grid: TileGrid) -> Floats32:
        """Return a map (gh, gw) where the picture came with its part."""
        by = np.array(self.shift) / (grid.cell * np.array(grid.cells))
        moved: Floats32 = shift_maps(heat[None], by[None])[0]
        return moved


@dataclass(frozen=True)
class TilePlacing:
    """What is done to every large picture before it is cut.

    Parameters
    ----------
    registration : Registration, optional
        On reduced pictures.
    refinement : Refinement, optional
        At full resolution, after that.
    foreground : Foreground, optional
    channels : {1, 3}
    """

    registration: Registration | None = None
    refinement: Refinement | None = None
    foreground: Foreground | None = None
    channels: int = 1

    @classmethod
    def of(cls, detector: ImageVAEDetector) -> TilePlacing:
        """Return what a detector learned of it."""
        return cls(
            detector.registration_, detector.refinement_, detector.foreground_, detector.channels_
        )

    def __call__(self, name: str, pixels: AnyArray) -> PlacedPicture:
        """Move a picture, and paint its background.

        Raises
        ------
        ImageError
            If pixels have no meaning; names the picture.
        """
        shift = self._shift(name, pixels)
        pixels = shift_picture(pixels, shift)
        if self.foreground is not None:
            pixels = self.foreground.paint(pixels)
        return PlacedPicture(name, pixels, shift, self.foreground)

    def _shift(self, name: str, pixels: AnyArray) -> Shift:
        if self.registration is None:
            return 0, 0
        try:
            shift = coarse_shift(self.registration, pixels, self.channels)
            if self.refinement is None:
                return shift
            down, right = self.refinement(pixels, shift)
        except ImageError:
            raise
        except DataError as err:
            raise ImageError(f"{name}: {err}", code="values") from err
        return shift[0] + down, shift[1] + right


def coarse_shift(registration: Registration, pixels: AnyArray, channels: int) -> Shift:
    """Return the shift of a large picture, in its own pixels, as it is seen on a reduced one."""
    side = len(registration.reference)
    found = registration.shift_of(prepare_image(pixels, (side, side), channels))
    down, right = (round(by * n / side) for by, n in zip(found, pixels.shape[:2], strict=True))
    return down, right


def choose_refinement(
    pictures: Pictures, registration: Registration | None, channels: int
) -> Refinement | None:
    """Return what a window of the large pictures shows; None where they are not moved, or small.

    At most 16 pictures of one size, decoded one at a time, make the reference.
    """
    if registration is None:
        return None
    reduced = len(registration.reference)
    windows: list[Floats32] = []
    size, corner, side = (0, 0), (0, 0), 0
    for i in evenly(len(pictures), _PROBES).tolist():
        try:
            pixels = pictures.pixels(i)
            if not windows:
                size = pixels.shape[:2]
                corner, side = window_of(registration, size)
            if pixels.shape[:2] == size:
                shift = coarse_shift(registration, pixels, channels)
                windows.append(Refinement.cut(pixels, corner, side, shift))
        except DataError:
            continue  # reported with its name when all are read
    if max(size) <= reduced:
        return None
    return Refinement(Registration.fit(np.stack(windows)), corner, size, reduced)
