"""The images that a detector is fitted to: placed where the others lie, and put into folds.

Moving parts and leaving a background out of account are off unless asked for. Reference and mask
are made from at most 64 training images, the held-out ones among them: like the scales of maps they
are averages, and each image's own share in them is small.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats32, Ints
from vae_anomaly.detectors.folds import assign_folds, evenly
from vae_anomaly.detectors.images.conditions import condition_codes, learn_conditions
from vae_anomaly.detectors.images.image_list import (
    ImageList,
    ImageStorage,
    look_at,
    look_at_storage,
)
from vae_anomaly.detectors.images.networks.pixels import PIXEL_SIZE, model_name
from vae_anomaly.detectors.images.place.placing import Foreground, Placing, find_foreground
from vae_anomaly.detectors.images.place.registration import (
    Refinement,
    Registration,
    coarse_shift,
    window_of,
)
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.errors import DataError

_PROBES: Final = 64
_WINDOWS: Final = 16  # images whose window is the reference of a refinement

logger = logging.getLogger(__name__)

N_FOLDS: Final = 5

_VALIDATION_SHARE: Final = 7  # one group in seven decides when to stop


@dataclass(frozen=True)
class TrainingSet:
    """Images of good parts.

    Parameters
    ----------
    images : ImageList
        With the placing that was found for them.
    stored : ImageStorage
        How they are stored, and what follows.
    groups, folds : ndarray of shape (n,)
        Part, lot or camera of each image; whole groups lie in one fold.
    conditions : tuple of str
        Names of what images show, for a conditional model; empty for others.
    codes : ndarray of shape (n,), optional
        Which of them each image shows.
    """

    images: ImageList
    stored: ImageStorage
    groups: AnyArray
    folds: Ints
    conditions: tuple[str, ...] = ()
    codes: Ints | None = None

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.stored.channels


def training_set(
    settings: ImageSettings, images: ImageList, groups: object, random_state: int
) -> TrainingSet:
    """Look at the images: their white, colour, placing and conditions; and put them into folds.

    Raises
    ------
    DataError, NotEnoughDataError
        As `require_different`, `group_names`, `learn_conditions` and `assign_folds`.
    """
    name = model_name(settings.model)
    side = settings.image_size if name == "bank" else PIXEL_SIZE
    images, stored = place_images(images, side, settings)
    require_different(images)
    conditions: tuple[str, ...] = ()
    codes = None
    if name == "conditional":
        conditions = learn_conditions(images.conditions, images.ids)
        codes = condition_codes(conditions, images.conditions)
    names = group_names(groups, images)
    folds = choose_folds(names, codes, random_state)
    return TrainingSet(images, stored, names, folds, conditions, codes)


def require_different(images: ImageList) -> None:
    """Raise DataError if all images are the same, pixel for pixel: there is nothing to learn."""
    first: AnyArray | None = None
    for i in range(len(images)):
        try:
            pixels = images.pixels(i)
        except DataError:
            continue  # reported with its name when all are read
        if first is None:
            first = pixels
        elif not np.array_equal(first, pixels):
            return
    if first is None:
        return
    if first.min() == first.max():
        raise DataError(
            f"All {len(images)} images are blank: each pixel is {first.flat[0]}. Look at the lamp, "
            "the shutter and the program that saved them, and give images that show good parts."
        )
    raise DataError(
        f"All {len(images)} images are the same, pixel for pixel: nothing can be learned of how "
        "good parts differ. Give images of different parts; `vae-anomaly data check` lists copies."
    )


def place_images(
    images: ImageList, side: int, settings: ImageSettings
) -> tuple[ImageList, ImageStorage]:
    """Return images with the placing that they show at a size, and how they are stored."""
    images = replace(images, tiled=settings.tile_size is not None)
    stored = look_at_storage(images, settings.channels, settings.white)
    placing, channels = Placing(stored.depth), stored.channels
    images = replace(images, placing=placing)
    registration = choose_registration(images, side, channels, settings.register)
    placing = replace(placing, registration=registration)
    images = replace(images, placing=placing)
    if settings.tile_size is not None and registration is not None:
        placing = replace(placing, refinement=choose_refinement(images, registration, channels))
    foreground = choose_foreground(images, side, channels, settings.foreground)
    return replace(images, placing=replace(placing, foreground=foreground)), stored


def choose_registration(
    images: ImageList, size: int, channels: int, how: str
) -> Registration | None:
    """Return the reference that images of good parts are moved to; None where they stay.

    With "auto", not "shift", the images are asked whether moving helps.
    """
    if how == "off":
        return None
    probes = _probes(images, size, channels).mean(axis=3)
    registration = Registration.fit(probes)
    if how == "auto" and not registration.is_worthwhile(probes):
        logger.info("The parts lie still, or have nothing to align by: images are not moved.")
        return None
    return registration


def choose_foreground(images: ImageList, size: int, channels: int, how: str) -> Foreground | None:
    """Return the pixels that show the part; None where all of them count."""
    if how == "off":
        return None
    foreground = find_foreground(_probes(images, size, channels))
    if foreground is None:
        logger.warning(
            "foreground='auto': the background is not clearly uniform, so all of the image "
            "counts. Light the border of the image evenly, or leave foreground='off'."
        )
    return foreground


def choose_refinement(
    images: ImageList, registration: Registration, channels: int
) -> Refinement | None:
    """Return what a window of the large images shows; None where they are small.

    At most 16 images of one size, decoded one at a time, make the reference.
    """
    reduced = len(registration.reference)
    windows: list[Floats32] = []
    size, corner, side = (0, 0), (0, 0), 0
    for i in evenly(len(images), _WINDOWS).tolist():
        try:
            pixels = images.pixels(i)
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


def _probes(images: ImageList, size: int, channels: int) -> Floats32:
    """Return some of the images, (n, size, size, channels), at equal distances."""
    probes = look_at(images, lambda i: images.prepared(i, size, channels), _PROBES)
    if not probes:
        images.prepared(0, size, channels)  # raises what is wrong with it
    return np.stack(probes)


def group_names(groups: object, images: ImageList) -> AnyArray:
    """Return a group for each image; an image without one is a group of its own."""
    if groups is None:
        return np.array([g if g is not None else f"\0{i}" for i, g in enumerate(images.groups)])
    names = np.asarray(groups).reshape(-1)
    if len(names) != len(images):
        raise DataError(
            f"groups must name one group for each image: got {len(names)} for {len(images)} "
            "images. Give them in the order of the images (a folder is sorted by name)."
        )
    return names.astype(str)


def shared_groups(groups: AnyArray) -> Ints | None:
    """Return a code for each image's group, or None where each is a group of its own."""
    names, codes = np.unique(groups, return_inverse=True)
    return None if len(names) == len(groups) else codes.astype(np.int64)


def choose_folds(groups: AnyArray, codes: Ints | None, random_state: int) -> Ints:
    """Return a fold for each image, (n,): whole groups, and every condition spread evenly.

    A condition that is a single group goes to a fold that is not held out. Where groups mix
    conditions, as those of a camera do, conditions are left to chance.
    """
    n_groups = len(np.unique(groups))
    if codes is None or n_groups < len({*zip(groups.tolist(), codes.tolist(), strict=True)}):
        return assign_folds(groups, N_FOLDS, random_state)
    folds = np.ones(len(groups), np.int64)
    for code in np.unique(codes):
        own = codes == code
        if len(np.unique(groups[own])) > 1:
            folds[own] = assign_folds(groups[own], N_FOLDS, random_state)
    return folds


def validation_split(groups: AnyArray, is_allowed: Bools, random_state: int) -> tuple[Bools, Bools]:
    """Split what a network may see into training and stopping images, by group."""
    inside = np.flatnonzero(is_allowed)
    stop = np.zeros(len(is_allowed), bool)
    if len(np.unique(groups[inside])) >= 2 * _VALIDATION_SHARE:
        stop[inside[assign_folds(groups[inside], _VALIDATION_SHARE, random_state) == 0]] = True
    return is_allowed & ~stop, stop


def network_parts(groups: AnyArray, n_networks: int, random_state: int) -> Ints:
    """Return which network does not see each image; a single network sees four fifths."""
    return assign_folds(groups, n_networks if n_networks > 1 else N_FOLDS, random_state + 1)
