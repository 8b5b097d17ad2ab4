"""Good images and their corrupted copies, read once and kept as the bank's maps only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import numpy as np
import torch
from torch import Tensor

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.folds import evenly
from vae_anomaly.detectors.images.features.backbone import BackboneBank
from vae_anomaly.detectors.images.features.filter_bank import FilterBank
from vae_anomaly.detectors.images.features.plug_in import plug_in
from vae_anomaly.detectors.images.fine.filters import FineFilters, FineMaps
from vae_anomaly.detectors.images.fit.defects import add_defects, cell_mask
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.networks.bank import NetworkSpec
from vae_anomaly.detectors.images.settings import ImageSettings
from vae_anomaly.devices import device_of
from vae_anomaly.progress import Progress, null_progress

Bank = FilterBank | BackboneBank

_LOOKED_AT: Final = 32  # training images that tell how wide a backbone's maps are, how they vary


@dataclass(frozen=True)
class TrainingMaps:
    """Good images and their corrupted copies, as the bank sees them.

    Attributes
    ----------
    maps : Tensor of shape (n, C, G, G)
    statistics : Tensor of shape (n, S)
    corrupted : Tensor of shape (copies, n, C, G, G)
    masks : Tensor of shape (copies, n, G, G)
        How visible the synthetic defect is in each cell, in [0, 1].
    fine : FineMaps, optional
        Fine detail of the images; None where it is not looked for.
    """

    maps: Tensor
    statistics: Tensor
    corrupted: Tensor
    masks: Tensor
    fingerprint: dict[str, int | str]
    fine: FineMaps | None = None


def read_training_maps(
    images: ImageList,
    bank: Bank,
    copies: int,
    random_state: int,
    progress: Progress = null_progress,
    filters: FineFilters | None = None,
) -> TrainingMaps:
    """Decode each image once, corrupt it, and keep only the bank's maps, on the processor.

    Bank and filters of fine detail, if given, compute where the bank lies. An `ImageError` names
    the images that cannot be read.
    """
    digest, size, place = sha256(), bank.image_size, device_of(bank)
    clean, statistics, corrupted, masks = [], [], [], []
    fine: list[FineMaps] = []
    filters = None if filters is None else filters.to(place)
    for where, pixels in images.chunks(size, bank.channels, digest.update):
        tensor = as_tensor(pixels).to(place)
        for features, octaves in bank.looks(tensor):
            if filters is not None:
                fine.append(filters(octaves).cpu())
            clean.append(features.maps.cpu())
            statistics.append(features.statistics.cpu())
        for copy in range(copies):
            spoiled, spots = _corrupt(pixels, where.start, copy, random_state, bank.cell)
            corrupted.append(bank(as_tensor(spoiled).to(place)).maps.cpu())
            masks.append(torch.from_numpy(spots))
        progress("features", where.stop, len(images))
    return TrainingMaps(
        torch.cat(clean),
        torch.cat(statistics),
        _by_copy(corrupted, copies),
        _by_copy(masks, copies),
        images.fingerprint(digest.hexdigest()),
        FineMaps.joined(fine) if fine else None,
    )


def chosen_bank(
    settings: ImageSettings, size: int, channels: int, n_networks: int, chunks: Iterable[Tensor]
) -> tuple[NetworkSpec, Bank]:
    """Return what a network on images of ``size`` is made of, and what it sees of them.

    A few training images ``chunks`` (n, C, S, S) are shown to a user's backbone.
    """
    latent_dim, width = settings.latent_dim or 0, settings.work.width
    spec = NetworkSpec("bank", size, channels, latent_dim, n_networks, width)
    if settings.features is None:
        return spec, FilterBank(size, channels)
    backbone, bank = plug_in(settings.features, settings.features_weights, size, channels, chunks)
    return replace(spec, backbone=backbone), bank


def _corrupt(
    images: Floats32, first: int, copy: int, random_state: int, cell: int
) -> tuple[Floats32, Floats32]:
    """Return corrupted copies of a chunk and the cells, of so many pixels, where they differ."""
    spoiled, spots = [], []
    for i, image in enumerate(images):
        generator = np.random.default_rng([random_state, copy, first + i])
        donor = images[(i + 1 + copy) % len(images)]
        broken, mask = add_defects(image, generator, donor=donor)
        spoiled.append(broken)
        spots.append(cell_mask(mask, cell))
    return np.stack(spoiled), np.stack(spots)


def _by_copy(chunks: list[Tensor], copies: int) -> Tensor:
    """Sort chunks that alternate between copies, (copies, n, ...)."""
    if copies == 0:
        return torch.empty(0)
    return torch.stack([torch.cat(chunks[copy::copies]) for copy in range(copies)])


def few_chunks(images: ImageList, size: int, channels: int) -> Iterator[Tensor]:
    """Yield some of the images, spread over all, as tensors (n, C, S, S)."""
    few = images.take(evenly(len(images), _LOOKED_AT))
    for _, pixels in few.chunks(size, channels):
        yield as_tensor(pixels)


def as_tensor(images: Floats32) -> Tensor:
    """Return images (n, S, S, C) as a tensor (n, C, S, S)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
