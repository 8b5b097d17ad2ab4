"""The images that a detector is fitted to, with what belongs to each of them."""

from __future__ import annotations

from dataclasses import dataclass

from vae_anomaly.arrays import AnyArray, Ints
from vae_anomaly.detectors.images.conditions import condition_codes, learn_conditions
from vae_anomaly.detectors.images.fit.folds import choose_folds, group_names
from vae_anomaly.detectors.images.fit.placing import place_images
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.networks.members import PIXEL_SIZE, model_name
from vae_anomaly.detectors.images.settings import ImageSettings


@dataclass(frozen=True)
class TrainingSet:
    """Images of good parts.

    Parameters
    ----------
    images : ImageList
        With the placing that was found for them.
    channels : {1, 3}
    groups, folds : ndarray of shape (n,)
        Part, lot or camera of each image; whole groups lie in one fold.
    conditions : tuple of str
        Names of what images show, for a conditional model; empty for others.
    codes : ndarray of shape (n,), optional
        Which of them each image shows.
    """

    images: ImageList
    channels: int
    groups: AnyArray
    folds: Ints
    conditions: tuple[str, ...] = ()
    codes: Ints | None = None


def training_set(
    settings: ImageSettings, images: ImageList, groups: object, random_state: int
) -> TrainingSet:
    """Look at the images: their white, colour, placing and conditions; and put them into folds.

    Raises
    ------
    DataError
        If groups are not as many as images, or a condition is missing or the only one.
    NotEnoughDataError
        If there is only one group.
    """
    name = model_name(settings.model)
    side = settings.image_size if name == "bank" else PIXEL_SIZE
    images, channels = place_images(images, side, settings)
    conditions: tuple[str, ...] = ()
    codes = None
    if name == "conditional":
        conditions = learn_conditions(images.conditions, images.ids)
        codes = condition_codes(conditions, images.conditions)
    names = group_names(groups, images)
    folds = choose_folds(names, codes, random_state)
    return TrainingSet(images, channels, names, folds, conditions, codes)
