"""Which images train and which are held out, whole groups."""

from __future__ import annotations

from typing import Final

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Ints
from vae_anomaly.detectors.folds import assign_folds
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.errors import DataError

N_FOLDS: Final = 5
_VALIDATION_SHARE: Final = 7  # one group in seven decides when to stop


def group_names(groups: object, images: ImageList) -> AnyArray:
    """Return a group for each image; an image without one is a group of its own.

    Raises
    ------
    DataError
        If there is not one for each image.
    """
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

    Raises
    ------
    NotEnoughDataError
        If there is only one group.
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


def validation_split(groups: AnyArray, seen: Bools, random_state: int) -> tuple[Bools, Bools]:
    """Split what a network may see into training and stopping images, by group."""
    inside = np.flatnonzero(seen)
    stop = np.zeros(len(seen), bool)
    if len(np.unique(groups[inside])) >= 2 * _VALIDATION_SHARE:
        stop[inside[assign_folds(groups[inside], _VALIDATION_SHARE, random_state) == 0]] = True
    return seen & ~stop, stop


def network_parts(groups: AnyArray, n_networks: int, random_state: int) -> Ints:
    """Return which network does not see each image; a single network sees four fifths."""
    return assign_folds(groups, n_networks if n_networks > 1 else N_FOLDS, random_state + 1)
