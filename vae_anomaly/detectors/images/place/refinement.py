"""A second look at the shift of a large picture: one window at full resolution.

A picture of 4096 pixels that is reduced to 256 tells its shift to about 8 pixels, which is a cell
of the heat map. Phase correlation of a window of the picture itself tells it to a pixel; a window
is enough, for what moves is the part as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from vae_anomaly.arrays import AnyArray, Arrays, Floats32
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.detectors.images.place.registration import BOUND, Registration, Shift

WINDOW: Final = 512
"""Side of the window, in pixels of the picture, where it holds one."""

_WINDOW, _PLACE = "refinement", "refinement_place"

_DOUBT: Final = 1.5  # reduced pixels by which the first look may be wrong


@dataclass(frozen=True)
class Refinement:
    """What one window shows when the part lies where it should.

    Parameters
    ----------
    registration : Registration
        Of windows of training pictures, cut where the first look says that they lie.
    corner : (int, int), pixels
        Top and left of the window.
    size : (int, int), pixels
        Height and width of the pictures; others are not looked at again.
    reduced : int, pixels
        Side of the reduced pictures of the first look.
    """

    registration: Registration
    corner: tuple[int, int]
    size: tuple[int, int]
    reduced: int

    def __call__(self, pixels: AnyArray, shift: Shift) -> Shift:
        """Return how much further a picture lies than the first look's ``shift``, in pixels.

        (0, 0) where nothing stands out, or what does is further than the first look can be wrong.
        """
        if pixels.shape[:2] != self.size:
            return 0, 0
        side = len(self.registration.reference)
        found = self.registration.shift_of(self.cut(pixels, self.corner, side, shift))
        most = [max(1.0, _DOUBT * n / self.reduced) for n in self.size]
        return found if all(abs(d) <= m for d, m in zip(found, most, strict=True)) else (0, 0)

    def state(self) -> Arrays:
        """Return all that `from_state` needs, as arrays."""
        place = np.array([*self.corner, *self.size, self.reduced], np.int64)
        return {_WINDOW: self.registration.reference, _PLACE: place}

    @classmethod
    def from_state(cls, state: Arrays) -> Self | None:
        """Take out of a state what `state` put there; None where nothing is."""
        window, place = state.pop(_WINDOW, None), state.pop(_PLACE, None)
        if window is None or place is None:
            return None
        top, left, height, width, reduced = place.tolist()
        return cls(Registration(window), (top, left), (height, width), reduced)

    @staticmethod
    def cut(pixels: AnyArray, corner: tuple[int, int], side: int, shift: Shift) -> Floats32:
        """Return the window of a picture that lies ``shift`` off, (side, side), in grey."""
        rows, columns = (
            np.clip(np.arange(side) + start + by, 0, n - 1)
            for start, by, n in zip(corner, shift, pixels.shape[:2], strict=True)
        )
        return prepare_image(pixels[rows[:, None], columns], (side, side), 1)[..., 0]


def window_of(registration: Registration, size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """Return corner and side of the window with most details, away from the border.

    Parameters
    ----------
    registration : Registration
        Of the reduced pictures.
    size : (height, width), pixels
        Of the large ones.
    """
    side = min(WINDOW, *(int(n * (1.0 - 2.0 * BOUND)) for n in size))
    y, x = registration.busiest((side / size[0], side / size[1]))
    corner = (round(y * size[0] - side / 2), round(x * size[1] - side / 2))
    return corner, side
