"""Where ``features=`` enters the image detector: checked, plugged in, stored and restored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from vae_anomaly.arrays import Arrays
from vae_anomaly.detectors.images.features import onnx_file, timm_models
from vae_anomaly.detectors.images.features.at_hand import AUTO
from vae_anomaly.detectors.images.features.backbone import (
    BackboneBank,
    BackboneSpec,
    weights_digest,
)
from vae_anomaly.detectors.images.features.onnx_file import is_onnx
from vae_anomaly.errors import ConfigError, ModelRefusedError

_MODULE: Final = ".bank.backbone."
_TWICE: Final = ("halves.0.bank.", "halves.1.bank.")  # both halves of `TiledNetwork` share one

Built = TypeVar("Built", bound=nn.Module)


def check_features(
    features: object, weights: object, model: str, pose: str, *, download: bool
) -> None:
    """Refuse features that are no backbone, or that the other parameters do not go with."""
    is_timm = isinstance(features, str) and features.startswith(timm_models.TIMM)
    if download and not is_timm:
        raise ConfigError(
            "download=True (--download) fetches the weights of features='timm:NAME'. Got it with "
            f"features={features!r}: leave it out, or name a model."
        )
    if weights is not None and not (is_timm or features == AUTO):
        raise ConfigError(
            f"features_weights={str(weights)!r} belongs to features='timm:NAME' or 'auto'; a "
            "module and an ONNX file bring their own. Change one of them, or leave it out."
        )
    if features is None:
        return
    if not (is_timm or is_onnx(features) or features == AUTO or isinstance(features, nn.Module)):
        raise ConfigError(
            "The 'features' parameter of ImageVAEDetector must be a torch.nn.Module, 'timm:NAME', "
            f"an ONNX file 'NAME.onnx' or 'auto'. Got {features!r}."
        )
    _check_beside(features, model, pose)


def _check_beside(features: object, model: str, pose: str) -> None:
    """Refuse a backbone beside a model or a pose that cannot have one."""
    if model != "bank":
        raise ConfigError(
            "The 'features' parameter of ImageVAEDetector belongs to model='bank'. Got it with "
            f"model={model!r}, which sees pixels: leave one of them out."
        )
    if pose == "any" and features != AUTO:
        raise ConfigError(
            "pose='any' turns the maps of the fixed bank; those of features= cannot be turned. "
            "Leave pose out, and add turned images to the training images."
        )


def plug_in(
    features: nn.Module | str,
    weights: str | None,
    image_size: int,
    channels: int,
    chunks: Iterable[Tensor],
) -> tuple[BackboneSpec, BackboneBank]:
    """Return the bank that a user's backbone makes, and what has to be known to ask for it again.

    ``weights`` is the file of those of "timm:NAME"; ``chunks`` are a few training images, tensors
    (n, channels, image_size, image_size).

    Raises
    ------
    ConfigError
        If the module does not keep the contract, or its weights cannot be read.
    MissingExtraError
        If timm or onnxruntime is needed and not installed.
    """
    name, module = _backbone(features, weights, image_size, channels)
    bank = BackboneBank.fit(module, image_size, channels, chunks, name)
    return bank.spec, bank


def _backbone(
    features: nn.Module | str, weights: str | None, image_size: int, channels: int
) -> tuple[str, nn.Module]:
    """Return what a backbone is called in a saved model, and the backbone."""
    if not isinstance(features, str):
        return _class_name(features), features
    if is_onnx(features):
        found = onnx_file.read_onnx(features, image_size, channels)
        return f"{onnx_file.ONNX}{Path(features).name}", found
    assert weights is not None  # noqa: S101 - `found_features` has found them
    return features, timm_models.read_timm(features, weights, image_size)


def storable_config(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's parameters as JSON-able values: no module, and no device."""
    given = {name: value for name, value in parameters.items() if name != "device"}
    is_module = isinstance(parameters["features"], nn.Module)
    return {**given, "features": None} if is_module else given


def storable_weights(network: nn.Module, backbone: BackboneSpec | None) -> Arrays:
    """Return the network's arrays, without those of a user's module."""
    apart = backbone is not None and not backbone.is_stored
    return {
        name: value.numpy(force=True)
        for name, value in network.state_dict().items()
        if not (apart and _is_modules(name)) and not (backbone and name.startswith(_TWICE[1]))
    }


def restore_plugged(
    backbone: BackboneSpec,
    image_size: int,
    channels: int,
    weights: Arrays,
    features: nn.Module | None,
    build: Callable[[BackboneBank], Built],
) -> Built:
    """Build the network around the module that it was trained with; refuse any other.

    ``build`` makes an empty one around a bank.
    """
    if backbone.is_stored:
        refuse_needless(features)
        module = _empty(backbone, image_size, weights)
    else:
        module = _the_same(backbone, features)
    bank = BackboneBank(module, image_size, channels, backbone)
    network = build(bank)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    for name in [name for name in tensors if name.startswith(_TWICE[0])]:
        tensors[_TWICE[1] + name.removeprefix(_TWICE[0])] = tensors[name]
    if not backbone.is_stored:
        tensors |= {name: v for name, v in network.state_dict().items() if _is_modules(name)}
    network.load_state_dict(tensors)
    bank.check_answer(backbone.name)
    return network.eval()


def _empty(backbone: BackboneSpec, image_size: int, weights: Arrays) -> nn.Module:
    """Return a stored module in its shape, for weights that are still to be filled in."""
    stored = {
        f".{name}".rpartition(_MODULE)[2]: array
        for name, array in weights.items()
        if _is_modules(name)
    }
    if backbone.name.startswith(onnx_file.ONNX):
        name = backbone.name.removeprefix(onnx_file.ONNX)
        return onnx_file.OnnxFeatures(stored["file"].tobytes(), name)
    return timm_models.restore_timm(backbone.name, image_size, backbone.cell, set(stored))


def refuse_needless(features: object) -> None:
    """Refuse a module for a model that was trained without."""
    if features is not None:
        raise ModelRefusedError(
            "features= was given, but the model was not trained with a module of yours: it holds "
            "all it needs. Leave it out."
        )


def _the_same(backbone: BackboneSpec, features: nn.Module | None) -> nn.Module:
    wanted = f"{backbone.name}, weights sha256 {backbone.sha256[:12]}..."
    if features is None:
        raise ModelRefusedError(
            f"The model sees images through a module of its user ({wanted}), whose code is not "
            "stored. Load it from Python: load_detector(path, features=module). For commands and "
            "the registry train with features='timm:NAME' or an ONNX file, which are stored."
        )
    if not isinstance(features, nn.Module):
        raise ModelRefusedError(
            f"The model needs features=, a torch.nn.Module ({wanted}); got "
            f"{type(features).__name__}."
        )
    digest = weights_digest(features)
    if digest != backbone.sha256:
        raise ModelRefusedError(
            f"The model was trained with another module: wanted {wanted}; got "
            f"{_class_name(features)}, weights sha256 {digest[:12]}.... Load the weights it had."
        )
    return features


def _is_modules(name: str) -> bool:
    """Tell whether a weight is one of the user's module."""
    return _MODULE in f".{name}"


def _class_name(module: nn.Module) -> str:
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}"
