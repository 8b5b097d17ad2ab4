"""Put the graph of a backbone's own ONNX file where the exporter has left a place for it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from vae_anomaly.detectors.images.features.backbone import BackboneBank
from vae_anomaly.detectors.images.features.onnx_file import PLACE, OnnxFeatures
from vae_anomaly.detectors.images.networks.bank import BankNetwork
from vae_anomaly.detectors.images.networks.pixels import PixelNetwork
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.words import reason_of

_PREFIX: Final = "backbone/"


def onnx_backbone(network: BankNetwork | PixelNetwork) -> OnnxFeatures | None:
    """Return the ONNX file through which a network sees; None of all others.

    Raises
    ------
    ModelRefusedError
        If it takes a fixed number of images, which a graph for any number cannot give it.
    """
    bank = network.bank if isinstance(network, BankNetwork) else None
    if not isinstance(bank, BackboneBank) or not isinstance(bank.backbone, OnnxFeatures):
        return None
    if bank.backbone.takes[0] is not None:
        raise ModelRefusedError(
            f"The model's backbone {bank.backbone.name} takes {bank.backbone.takes[0]} images at "
            "once, and the file to be written any number: it cannot hold it. Train with a backbone "
            "that was exported with an open batch."
        )
    return bank.backbone


def inlined(host: Any, backbone: OnnxFeatures) -> Any:
    """Return the model ``host``, an onnx.ModelProto, with the backbone's nodes in their place.

    Raises
    ------
    ModelRefusedError
        If the backbone's operators cannot be written for the version of the others.
    """
    onnx = import_module("onnx")
    guest = _for_version(onnx, backbone, host)
    nodes = list(host.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.op_type == PLACE.partition("::")[2])
    place, identity = nodes[at], onnx.helper.make_node
    given = [guest.graph.output[i].name for i in backbone.maps]
    joined = [
        identity("Identity", [place.input[0]], [guest.graph.input[0].name]),
        *guest.graph.node,
        *(identity("Identity", [a], [b]) for a, b in zip(given, place.output, strict=True)),
    ]
    del host.graph.node[:]
    host.graph.node.extend([*nodes[:at], *joined, *nodes[at + 1 :]])
    host.graph.initializer.extend(guest.graph.initializer)
    host.functions.extend(guest.functions)
    host.ir_version = max(host.ir_version, guest.ir_version)
    domains = {one.domain: one for one in [*guest.opset_import, *host.opset_import]}
    del host.opset_import[:]
    host.opset_import.extend(domains[name] for name in domains if name != PLACE.partition("::")[0])
    return host


def _for_version(onnx: Any, backbone: OnnxFeatures, host: Any) -> Any:
    """Return the backbone's model for the host's version of the operators, its names its own."""
    guest = onnx.load_from_string(backbone.data)
    wanted, had = (
        next(one.version for one in model.opset_import if not one.domain) for model in (host, guest)
    )
    try:
        if wanted != had:
            guest = onnx.version_converter.convert_version(guest, wanted)
        return onnx.compose.add_prefix(guest, _PREFIX)
    except Exception as err:
        raise ModelRefusedError(
            f"The model's backbone {backbone.name} is written for operators of version {had}, and "
            f"cannot be for version {wanted}: {reason_of(err)}. Export it for that version "
            "(opset_version) and train again, or score the model here."
        ) from err
