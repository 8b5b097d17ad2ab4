"""Shift images of a part that moves so that it lies where it lies on a reference.

The shift is the peak of the phase correlation between image and reference, both as log brightness
below a high-pass and tapered towards the border, in whole pixels and within 10 % of the side. A
peak that does not stand out, or a shift that does not make the image more like the reference,
moves nothing: a texture, or a part that lies beyond the bound, stays as it is. Rotations are not
undone.

An image of 4096 pixels that is reduced to 256 tells its shift to about 8 pixels, a cell of the
heatmap. `Refinement` correlates one window of the image itself, which tells it to a pixel; a window
is enough, for what moves is the part as a whole.

References
----------
Kuglin and Hines, The phase correlation image alignment method, 1975.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from vae_anomaly.arrays import AnyArray, AnyFloats, Floats32
from vae_anomaly.data.images.resize import prepare_image
from vae_anomaly.detectors.folds import evenly

BOUND: Final = 0.10
"""Largest shift, as a share of the side."""

_OFFSET: Final = 0.05  # added before the logarithm, as in the filter bank
_LOW_CUT: Final = 1 / 24  # sd of the blur that is taken away, as a share of the side
_HIGH_CUT: Final = 0.12  # sd of the weights of frequencies, in cycles per pixel
_TAPER: Final = 0.12  # share of the side over which images fade out
_PEAK: Final = 7.0  # sd of the correlation from which a peak stands out
_CANDIDATES: Final = 6
_ROUNDS: Final = 2
_CONVINCING_SHARE: Final = 0.8
_WORTH: Final = (0.01, 0.8)

WINDOW: Final = 512
"""Side of the window of a `Refinement`, in pixels of the image, where it holds one."""

_DOUBT: Final = 1.5  # reduced pixels by which the first look may be wrong

Shift = tuple[int, int]
"""How many pixels down and to the right of the reference an image lies."""


@dataclass(frozen=True)
class Registration:
    """The reference that images are moved to, (S, S), grey in [0, 1].

    It is the mean of training images that were moved onto each other.
    """

    reference: Floats32

    @classmethod
    def fit(cls, images: Floats32) -> Registration:
        """Find the reference of images (n, S, S) in grey: the mean after moving them.

        The first reference is the one of six images that the others fit best; the last is put
        where the middle one of the images lies, so that most images move little.
        """
        fine = [_details(image) for image in images]
        chosen = evenly(len(images), _CANDIDATES)
        candidates = [cls(np.asarray(images[k], np.float32)) for k in chosen]
        fits = [np.median([one._peak(details)[1] for details in fine]) for one in candidates]
        reference = candidates[int(np.argmax(fits))]
        for _ in range(_ROUNDS):
            shifts = [reference._shift(details) for details in fine]
            dy, dx = np.median(np.array(shifts), axis=0).round().astype(int).tolist()
            moved = [
                shift_image(p, (y - dy, x - dx)) for p, (y, x) in zip(images, shifts, strict=True)
            ]
            reference = cls(np.asarray(np.mean(moved, axis=0, dtype=np.float64), np.float32))
        return reference

    def __call__(self, image: Floats32) -> tuple[Floats32, Shift]:
        """Return an image (S, S) or (S, S, C) where the reference lies, and how it was shifted."""
        shift = self._shift(_details(image))
        return shift_image(image, shift), shift

    def shift_of(self, image: Floats32) -> Shift:
        """Return the shift of an image; (0, 0) where none is convincing."""
        return self._shift(_details(image))

    def busiest(self, shares: tuple[float, float]) -> tuple[float, float]:
        """Return the centre, as shares of the side, of the window with most details.

        ``shares`` are height and width of the window, at most 1 - 2 `BOUND`. It stays that far from
        the border, so that it is in sight however the part has moved.
        """
        n = len(self.reference)
        half = [max(1, round(share * n / 2)) for share in shares]
        power = np.square(_details(self.reference))
        strength = ndimage.uniform_filter(power, [2 * h for h in half], mode="constant")
        near = [min(h + int(BOUND * n), (n - 1) // 2) for h in half]
        inner = strength[near[0] : n - near[0], near[1] : n - near[1]]
        y, x = divmod(int(inner.argmax()), inner.shape[1])
        return (y + near[0]) / n, (x + near[1]) / n

    def is_worthwhile(self, images: Floats32) -> bool:
        """Tell whether moving images (n, S, S) helps, by the images alone.

        It does where at least 80 % have a convincing peak, the middle one moves by 1 % of the side
        or more, and moving takes away a fifth or more of what tells images from the reference.
        """
        fine = [_details(image) for image in images]
        convincing = np.mean([self._peak(details)[1] >= _PEAK for details in fine])
        shifts = [self._shift(details) for details in fine]
        typical = float(np.median([max(abs(y), abs(x)) for y, x in shifts])) / len(self.reference)
        if convincing < _CONVINCING_SHARE or typical < _WORTH[0]:
            return False
        moved = [shift_image(details, shift) for details, shift in zip(fine, shifts, strict=True)]
        return self._distance(moved) < _WORTH[1] * self._distance(fine)

    def _shift(self, fine: Floats32) -> Shift:
        """Return the shift of an image's details; (0, 0) where none is convincing."""
        shift, height = self._peak(fine)
        if height < _PEAK or shift == (0, 0):
            return 0, 0
        closer = self._likeness(shift_image(fine, shift)) > self._likeness(fine)
        return shift if closer else (0, 0)

    def _peak(self, fine: Floats32) -> tuple[Shift, float]:
        """Return the best shift within the bound, and its height in sd of the correlation."""
        cross = fft.rfft2(fine * _taper(len(fine))) * self._spectrum
        cross *= _weights(len(fine)) / np.maximum(np.abs(cross), 1e-12)
        surface = fft.irfft2(cross, s=fine.shape)
        bound = int(BOUND * len(fine))
        near = np.roll(surface, (bound, bound), (0, 1))[: 2 * bound + 1, : 2 * bound + 1]
        y, x = divmod(int(near.argmax()), near.shape[1])
        return (y - bound, x - bound), float(near[y, x] / max(float(surface.std()), 1e-12))

    @cached_property
    def _target(self) -> Floats32:
        return _details(self.reference) * _taper(len(self.reference))

    @cached_property
    def _spectrum(self) -> npt.NDArray[np.complex64]:
        return np.asarray(np.conj(fft.rfft2(self._target)))

    def _likeness(self, fine: Floats32) -> float:
        """Return the correlation of an image's details with those of the reference."""
        details = fine * _taper(len(fine))
        lengths = np.linalg.norm(details) * np.linalg.norm(self._target)
        return float((details * self._target).sum() / max(lengths, 1e-12))

    def _distance(self, fine: Sequence[Floats32]) -> float:
        taper = _taper(len(self.reference))
        return float(np.mean([np.square(one * taper - self._target).mean() for one in fine]))


@dataclass(frozen=True)
class Refinement:
    """What one window shows when the part lies where it should.

    Parameters
    ----------
    registration : Registration
        Of windows of training images, cut where the first look says that they lie.
    corner : (int, int), pixels
        Top and left of the window.
    size : (int, int), pixels
        Height and width of the images; others are not looked at again.
    reduced : int, pixels
        Side of the reduced images of the first look.
    """

    registration: Registration
    corner: tuple[int, int]
    size: tuple[int, int]
    reduced: int

    def __call__(self, pixels: AnyArray, shift: Shift) -> Shift:
        """Return how much further an image lies than the first look's ``shift``, in pixels.

        (0, 0) where nothing stands out, or what does is further than the first look can be wrong.
        """
        if pixels.shape[:2] != self.size:
            return 0, 0
        side = len(self.registration.reference)
        further = self.registration.shift_of(self.cut(pixels, self.corner, side, shift))
        most = [max(1.0, _DOUBT * n / self.reduced) for n in self.size]
        return further if all(abs(d) <= m for d, m in zip(further, most, strict=True)) else (0, 0)

    @staticmethod
    def cut(pixels: AnyArray, corner: tuple[int, int], side: int, shift: Shift) -> Floats32:
        """Return the window of an image that lies ``shift`` off, (side, side), in grey."""
        rows, columns = (
            np.clip(np.arange(side) + start + by, 0, n - 1)
            for start, by, n in zip(corner, shift, pixels.shape[:2], strict=True)
        )
        return prepare_image(pixels[rows[:, None], columns], (side, side), 1)[..., 0]


def window_of(registration: Registration, size: tuple[int, int]) -> tuple[tuple[int, int], int]:
    """Return corner and side of the window with most details, away from the border.

    ``registration`` is of the reduced images, ``size`` (height, width) in pixels of the large ones.
    """
    side = min(WINDOW, *(int(n * (1.0 - 2.0 * BOUND)) for n in size))
    y, x = registration.busiest((side / size[0], side / size[1]))
    corner = (round(y * size[0] - side / 2), round(x * size[1] - side / 2))
    return corner, side


def coarse_shift(registration: Registration, pixels: AnyArray, channels: int) -> Shift:
    """Return the shift of a large image, in its own pixels, as it is seen on a reduced one."""
    side = len(registration.reference)
    reduced = registration.shift_of(prepare_image(pixels, (side, side), channels))
    down, right = (round(by * n / side) for by, n in zip(reduced, pixels.shape[:2], strict=True))
    return down, right


def shift_image(image: AnyArray, shift: Shift) -> AnyArray:
    """Move an image (H, W, ...) up and left by a shift; its edge is repeated.

    Examples
    --------
    >>> shift_image(np.array([[1, 2, 3], [4, 5, 6]]), (0, 1)).tolist()
    [[2, 3, 3], [5, 6, 6]]
    """
    if shift == (0, 0):
        return image
    rows, columns = (
        np.clip(np.arange(n) + by, 0, n - 1) for n, by in zip(image.shape[:2], shift, strict=True)
    )
    return np.ascontiguousarray(image[rows][:, columns])


def shift_maps(maps: Floats32, shifts: AnyFloats) -> Floats32:
    """Move maps (N, h, w) back to where the images themselves lie.

    ``shifts`` (N, 2), down and right, are shares of the side, rounded to whole cells, so that no
    peak is lost. The strip at the edge that moving took out of sight is 0.

    Examples
    --------
    >>> shift_maps(np.ones((1, 2, 4), np.float32), np.array([[0.0, 0.25]])).tolist()
    [[[0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]]]
    """
    cells = np.rint(shifts * maps.shape[1:]).astype(int)
    moved = maps.copy()
    for i in np.flatnonzero(cells.any(axis=1)):
        moved[i] = ndimage.shift(maps[i], cells[i], order=0, mode="constant", cval=0.0)
    return moved


def _details(image: Floats32) -> Floats32:
    """Return log brightness below a high-pass, (S, S)."""
    grey = image if image.ndim == 2 else image.mean(axis=2)
    log = np.log(grey + np.float32(_OFFSET))
    slow = ndimage.gaussian_filter(log, _LOW_CUT * len(log), mode="nearest", truncate=2.0)
    return np.asarray(log - slow, np.float32)


@lru_cache(maxsize=4)
def _taper(side: int) -> Floats32:
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    ramp = np.sin(0.5 * np.pi * np.minimum(1.0, distance / (_TAPER * side))) ** 2
    return np.outer(ramp, ramp).astype(np.float32)


@lru_cache(maxsize=4)
def _weights(side: int) -> Floats32:
    down, right = fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None]
    return np.exp(-(down**2 + right**2) / (2.0 * _HIGH_CUT**2)).astype(np.float32)
