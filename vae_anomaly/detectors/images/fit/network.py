"""From settings and training images to a fitted network: the bank's, or a member on pixels."""

from __future__ import annotations

from dataclasses import replace

import torch

from vae_anomaly.detectors.images.features.backbone import BackboneBank
from vae_anomaly.detectors.images.features.filter_bank import FilterBank
from vae_anomaly.detectors.images.features.plug_in import plug_in
from vae_anomaly.detectors.images.fit.bank import BankTask, FittedNetwork, fit_bank_network
from vae_anomaly.detectors.images.fit.maps import Bank, few_chunks, read_training_maps
from vae_anomaly.detectors.images.fit.pixels import PixelTask, fit_pixel_network
from vae_anomaly.detectors.images.fit.training_set import TrainingSet
from vae_anomaly.detectors.images.networks.bank import NetworkSpec
from vae_anomaly.detectors.images.networks.members import PIXEL_MEMBERS, PIXEL_SIZE, model_name
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.devices import torch_device
from vae_anomaly.progress import Progress


@torch.no_grad()
def fit_network(
    settings: ImageSettings, data: TrainingSet, random_state: int, progress: Progress
) -> FittedNetwork:
    """Fit the model that the settings name; `FittedNetwork` says what saw what."""
    name = model_name(settings.model)
    if name == "bank":
        fitted = _fit_bank(settings, data, random_state, progress)
    else:
        spec = _pixel_spec(name, settings.latent_dim, data)
        device = torch_device(settings.device)
        task = PixelTask(spec, settings.work, random_state, settings.beta, device)
        fitted = fit_pixel_network(data, task, progress)
    return fitted.masked(data.images.placing.masked)


def _fit_bank(
    settings: ImageSettings, data: TrainingSet, random_state: int, progress: Progress
) -> FittedNetwork:
    work, device, pose = settings.work, torch_device(settings.device), settings.pose
    size, channels = settings.image_size, data.channels
    spec = NetworkSpec(
        "bank", size, channels, settings.latent_dim or 0, work.n_networks, work.width
    )
    own: BackboneBank | None = None
    if settings.features is not None:
        chunks = few_chunks(data.images, size, channels)
        backbone, own = plug_in(
            settings.features, settings.features_weights, size, channels, chunks
        )
        spec, pose = replace(spec, backbone=backbone), "fixed"  # its maps cannot be turned
    bank: Bank = own or FilterBank(size, channels)
    maps = read_training_maps(data.images, bank.to(device), work.copies, random_state, progress)
    task = BankTask(spec, work, random_state, pose, own and own.cpu(), device)
    return fit_bank_network(maps, data.groups, data.folds, task, progress)


def _pixel_spec(name: str, latent_dim: int | None, data: TrainingSet) -> NetworkSpec:
    description = PIXEL_MEMBERS[name].describe(
        data.channels,
        latent_dim=latent_dim,
        n_conditions=len(data.conditions),
        n_images=len(data.images),
    )
    return NetworkSpec(
        name, PIXEL_SIZE, data.channels, description.latent_dim, 0, description=description
    )
