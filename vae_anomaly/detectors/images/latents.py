"""From images to the latents of a fitted model, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vae_anomaly.arrays import Floats32
from vae_anomaly.detectors.images.conditions import known_codes
from vae_anomaly.detectors.images.examination import padded_batches
from vae_anomaly.detectors.images.image_list import ImageList
from vae_anomaly.detectors.images.model import ImageModel
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.images.place.registration import shift_image
from vae_anomaly.detectors.images.tiles.network import TiledNetwork
from vae_anomaly.devices import exact_float32, to_device
from vae_anomaly.errors import ConfigError

Ask = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


def reconstruct(images: ImageList, model: ImageModel, device: str) -> Floats32:
    """Return what the VAE expects in place of each image, (N, s, s[, 3]) in [0, 1].

    It lies where the image lies: what registration has moved is moved back.
    """
    expected = _as_images(_of_each(_with_latents(model).preview, images, model, device))
    for i, image in enumerate(expected):
        down, right = np.rint(np.multiply(images.shifts[i], image.shape[:2])).astype(int).tolist()
        expected[i] = shift_image(image, (-down, -right))
    return expected


def embed_images(images: ImageList, model: ImageModel, device: str) -> Floats32:
    """Return posterior means, (N, Z)."""
    means = _of_each(_with_latents(model).latents, images, model, device)
    return np.asarray(means.numpy(force=True), np.float32)


def _of_each(ask: Ask, images: ImageList, model: ImageModel, device: str) -> torch.Tensor:
    """Return what the network answers for each image, batch by batch."""
    batches = padded_batches(model, images, device)
    return torch.cat([ask(pixels, codes)[:n] for pixels, codes, n in batches])


def decode(z: Floats32, model: ImageModel, device: str, conditions: object = None) -> Floats32:
    """Return the images of latents (N, Z), by default under the first condition there is."""
    network, codes = _with_latents(model), None
    place = to_device(network, device)
    if model.conditions:
        chosen = model.conditions[:1] * len(z) if conditions is None else conditions
        known = known_codes(model.conditions, chosen, len(z))
        codes = torch.from_numpy(known).to(place)
    with torch.inference_mode(), exact_float32(place):
        return _as_images(network.decode(torch.from_numpy(z).to(place), codes))


def draw_prior(model: ImageModel, n: int, generator: torch.Generator) -> torch.Tensor:
    """Draw latents (n, Z) on the processor, so that a seed means the same ones everywhere."""
    network = _with_latents(model).cpu()
    with torch.inference_mode():
        return network.draw_prior(n, generator)


def single_image(item: object) -> object:
    """Return one image, given as a path or an array with or without a batch axis, as a batch."""
    if not isinstance(item, np.ndarray):
        return item
    single = item.ndim == 2 or (item.ndim == 3 and item.shape[2] in (3, 4))
    return item[None] if single else item


def _with_latents(model: ImageModel) -> BankNetwork | PixelNetwork:
    if isinstance(model.network, TiledNetwork):
        raise ConfigError(
            "A detector with tile_size= has latents for each tile, none for an image. Train one "
            "without tile_size to reconstruct, embed or sample."
        )
    return model.network


def _as_images(batch: torch.Tensor) -> Floats32:
    """Return (N, C, s, s) as images (N, s, s), or (N, s, s, 3) in colour."""
    images: Floats32 = batch.permute(0, 2, 3, 1).numpy(force=True)
    return images[..., 0] if images.shape[3] == 1 else images
