"""From the detector's parameters to a fitted network, and what is to be said of the fit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from vae_anomaly.arrays import AnyArray, Ints
from vae_anomaly.detectors.images.conditions import few_pictures
from vae_anomaly.detectors.images.features.filter_bank import FilterBank
from vae_anomaly.detectors.images.features.plug_in import plug_in
from vae_anomaly.detectors.images.fit.bank import FittedNetwork, fit_bank_network
from vae_anomaly.detectors.images.fit.folds import N_FOLDS, assign_folds
from vae_anomaly.detectors.images.fit.maps import read_training_maps
from vae_anomaly.detectors.images.fit.pixels import PixelTask, fit_pixel_network
from vae_anomaly.detectors.images.members import PIXEL_MEMBERS, PIXEL_SIZE
from vae_anomaly.detectors.images.networks.bank import NetworkSpec
from vae_anomaly.detectors.images.parameters import chosen_preset
from vae_anomaly.devices import torch_device
from vae_anomaly.errors import DataError

if TYPE_CHECKING:
    from vae_anomaly.detectors.images.detector import ImageVAEDetector
    from vae_anomaly.detectors.images.image_list import Pictures
    from vae_anomaly.progress import Progress


logger = logging.getLogger(__name__)

_SELF_TEST_WARNING: Final = 0.60  # below, real defects are hardly seen


@torch.no_grad()
def fit_network(
    detector: ImageVAEDetector,
    name: str,
    pictures: Pictures,
    groups: AnyArray,
    folds: Ints,
    codes: Ints | None,
    progress: Progress,
) -> FittedNetwork:
    """Fit the model called ``name`` to pictures; `FittedNetwork` says what saw what."""
    preset, seed = chosen_preset(detector), detector.random_state_
    device = torch_device(detector.device)
    if name == "bank":
        spec = NetworkSpec(
            name, detector.image_size, detector.channels_, detector.latent_dim or 0,
            preset.n_networks, preset.width,
        )  # fmt: skip
        if detector.features is not None:
            spec, own = plug_in(detector.features, detector.features_weights, spec, pictures)
            data = read_training_maps(pictures, own.to(device), preset.copies, seed, progress)
            return fit_bank_network(  # turning the maps of a module is not turning the picture
                data, groups, folds, spec, preset, seed, progress,
                pose="fixed", bank=own.cpu(), device=device,
            )  # fmt: skip
        bank = FilterBank(spec.image_size, spec.channels).to(device)
        data = read_training_maps(pictures, bank, preset.copies, seed, progress)
        return fit_bank_network(
            data, groups, folds, spec, preset, seed, progress, pose=detector.pose, device=device
        )
    spec = _pixel_spec(detector, name, len(pictures))
    task = PixelTask(spec, preset, seed, detector.beta, device)
    return fit_pixel_network(pictures, groups, folds, task, codes, progress)


def _pixel_spec(detector: ImageVAEDetector, name: str, n_pictures: int) -> NetworkSpec:
    description = PIXEL_MEMBERS[name].describe(
        detector.channels_,
        latent_dim=detector.latent_dim,
        n_conditions=len(detector.conditions_),
        n_pictures=n_pictures,
    )
    latent_dim = description.latent_dim
    return NetworkSpec(name, PIXEL_SIZE, detector.channels_, latent_dim, 0, description=description)


def choose_folds(groups: AnyArray, codes: Ints | None, random_state: int) -> Ints:
    """Return a fold for each picture, (n,): whole groups, and every condition spread evenly.

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


def shared_groups(parts: AnyArray) -> Ints | None:
    """Return a code for each picture's group, or None where each is a group of its own."""
    names, codes = np.unique(parts, return_inverse=True)
    return None if len(names) == len(parts) else codes.astype(np.int64)


def group_names(groups: Any, pictures: Pictures) -> AnyArray:
    """Return a group for each picture; a picture without one is a group of its own.

    Raises
    ------
    DataError
        If there is not one for each picture.
    """
    if groups is None:
        return np.array([g if g is not None else f"\0{i}" for i, g in enumerate(pictures.groups)])
    names = np.asarray(groups).reshape(-1)
    if len(names) != len(pictures):
        raise DataError(
            f"groups must name one group for each picture: got {len(names)} for {len(pictures)} "
            "pictures. Give them in the order of the pictures (a folder is sorted by name)."
        )
    return names.astype(str)


def placing(detector: ImageVAEDetector) -> dict[str, float]:
    """Say what was made of ``register`` and ``foreground``, where they were asked for."""
    said = {}
    if detector.register != "off":
        said["registered"] = float(detector.registration_ is not None)
    if detector.foreground != "off":
        found = detector.foreground_
        said["foreground_share"] = 1.0 if found is None else found.share
    return said


def warn_of_few(conditions: tuple[str, ...], codes: Ints, held_out: Ints) -> None:
    """Warn of conditions with few pictures, of which the numbers ``held_out`` calibrate."""
    few = few_pictures(conditions, codes, np.isin(np.arange(len(codes)), held_out))
    if few:
        logger.warning(
            "Few pictures of %s: what is usual for them is hardly known, so expect more "
            "alarms there. Give 25 and more of every product.",
            ", ".join(few),
        )


def warn_of_blindness(metrics: Mapping[str, float]) -> None:
    """Warn where held-out normals are hardly told from their copies with synthetic defects."""
    visible = metrics.get("self_test_auroc", 1.0)
    if visible < _SELF_TEST_WARNING:
        logger.warning(
            "Self-test: this model cannot see defects on your parts: synthetic ones rank above "
            "good pictures only %.0f %% of the time (%.0f %% needed, 50 %% is chance). Try a "
            "larger image_size, steadier pictures, or more of them.",
            100.0 * visible, 100.0 * _SELF_TEST_WARNING,
        )  # fmt: skip
