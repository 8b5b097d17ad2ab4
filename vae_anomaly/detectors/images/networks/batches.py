"""Full chunks for a network, on the device where it is to compute."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from vae_anomaly.arrays import AnyArray
from vae_anomaly.detectors.images.image_list import CHUNK, GPU_CHUNK
from vae_anomaly.devices import device_of, torch_device


def to_device(network: nn.Module, device: str) -> torch.device:
    """Bring a network to the device that ``device=`` means, and return that.

    Raises
    ------
    ConfigError
        If there is no such device here.
    """
    place = torch_device(device)
    if device_of(network) != place:
        network.to(place)
    return place


def chunk_on(device: torch.device) -> int:
    """Return how many images a device is given at once."""
    return CHUNK if device.type == "cpu" else GPU_CHUNK


def padded(rows: AnyArray, n: int = CHUNK) -> torch.Tensor:
    """Repeat the last row until the chunk of n is full."""
    full = np.concatenate([rows, np.repeat(rows[-1:], n - len(rows), axis=0)])
    return torch.from_numpy(np.ascontiguousarray(full))
