"""What the networks of images are built like, and their weights to begin with."""

from __future__ import annotations

from torch import nn

from vae_anomaly.detectors.images.networks.bank import BankNetwork, NetworkSpec, RepairMember
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.detectors.warm_start import WarmStart, parameters_of
from vae_anomaly.errors import ModelRefusedError


def image_network_facts(spec: NetworkSpec, conditions: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what has to agree between two models of images, in words."""
    return {
        "model": repr(spec.kind),
        "size": f"{spec.image_size} pixels",
        "channels": str(spec.channels),
        "number of networks": str(spec.n_networks),
        "width": str(spec.width),
        "conditions": ", ".join(conditions) or "none",
    }


def weights_of_images(network: nn.Module, conditions: tuple[str, ...], label: str) -> WarmStart:
    """Return the weights of a fitted model: of its repair VAEs, or of the VAE on pixels.

    Raises
    ------
    ModelRefusedError
        If it has none that are trained, or one for each place of large images.
    """
    networks: list[nn.Module]
    if isinstance(network, PixelNetwork):
        networks = [network.vae]
    elif isinstance(network, BankNetwork) and len(network.members):
        networks = [one.vae for one in network.members if isinstance(one, RepairMember)]
    else:
        raise ModelRefusedError(
            f"{label} has no weights to begin with: with preset 'fast', a backbone and tiles the "
            "network is fitted in closed form, or anew for each place. Train without --warm-start."
        )
    assert isinstance(network, BankNetwork | PixelNetwork)  # noqa: S101 - one of the two
    facts = image_network_facts(network.spec, conditions)
    return WarmStart(label, facts, tuple(map(parameters_of, networks)))
