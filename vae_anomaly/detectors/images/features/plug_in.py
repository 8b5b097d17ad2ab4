"""Where ``features=`` enters the image detector: checked, plugged in, stored and restored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

from vae_anomaly.arrays import Arrays
from vae_anomaly.detectors.images.features.backbone import (
    BackboneBank,
    BackboneSpec,
    weights_digest,
)
from vae_anomaly.detectors.images.features.timm import PREFIX, build_timm, read_timm
from vae_anomaly.errors import ConfigError, ModelRefusedError

_MODULE: Final = ".bank.backbone."
_TWICE: Final = ("halves.0.bank.", "halves.1.bank.")  # both halves of `TiledNetwork` share one
Network = TypeVar("Network", bound=nn.Module)


def check_features(features: object, weights: object, model: str, pose: str) -> None:
    """Refuse features that are no backbone, or that the other parameters do not go with.

    Raises
    ------
    ConfigError
    """
    if features is None:
        if weights is not None:
            raise ConfigError(
                f"features_weights={str(weights)!r} needs features='timm:NAME' beside it."
            )
        return
    is_timm = isinstance(features, str) and features.startswith(PREFIX)
    if not is_timm and not isinstance(features, nn.Module):
        raise ConfigError(
            "The 'features' parameter of ImageVAEDetector must be a torch.nn.Module or "
            f"'timm:NAME'. Got {features!r}."
        )
    if model != "bank":
        raise ConfigError(
            "The 'features' parameter of ImageVAEDetector belongs to model='bank'. Got it with "
            f"model={model!r}, which sees pixels: leave one of them out."
        )
    if pose == "any":
        raise ConfigError(
            "pose='any' turns the maps of the fixed bank; those of features= cannot be turned. "
            "Leave pose out, and add turned images to the training images."
        )
    if weights is not None and not is_timm:
        raise ConfigError(
            f"features_weights={str(weights)!r} belongs to features='timm:NAME'; a module brings "
            "its own weights. Leave it out."
        )


def plug_in(
    features: nn.Module | str,
    weights: str | None,
    image_size: int,
    channels: int,
    chunks: Iterable[Tensor],
) -> tuple[BackboneSpec, BackboneBank]:
    """Return the bank that a user's backbone makes, and what has to be known to ask for it again.

    Parameters
    ----------
    weights : str, optional
        File of those of "timm:NAME".
    image_size : int, pixels
    channels : {1, 3}
    chunks : iterable of Tensor (n, channels, image_size, image_size)
        A few training images.

    Raises
    ------
    ConfigError
        If the module does not keep the contract, or its weights cannot be read.
    MissingExtraError
        If timm is needed and not installed.
    """
    module = read_timm(features, weights, image_size) if isinstance(features, str) else features
    bank = BackboneBank.fit(module, image_size, channels, chunks)
    name = features if isinstance(features, str) else _class_name(module)
    widths = tuple(level.get_buffer("mean").numel() for level in bank.levels)
    return BackboneSpec(name, weights_digest(module), widths), bank


def storable_config(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor's parameters as JSON-able values: no module, and no device."""
    kept = {name: value for name, value in parameters.items() if name != "device"}
    is_module = isinstance(parameters["features"], nn.Module)
    return {**kept, "features": None} if is_module else kept


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
    build: Callable[[BackboneBank], Network],
) -> Network:
    """Build the network around the module that it was trained with.

    ``build`` makes an empty one around a bank.

    Raises
    ------
    ModelRefusedError
        If the module is not given or is another one, or one is given that is not needed.
    """
    if backbone.is_stored:
        refuse_needless(features)
        module: nn.Module = build_timm(backbone.name, image_size)
    else:
        module = _the_same(backbone, features)
    bank = BackboneBank(module, image_size, channels, backbone.widths)
    network = build(bank)
    own = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    for name in [name for name in own if name.startswith(_TWICE[0])]:
        own[_TWICE[1] + name.removeprefix(_TWICE[0])] = own[name]
    if not backbone.is_stored:
        own |= {name: v for name, v in network.state_dict().items() if _is_modules(name)}
    network.load_state_dict(own)
    bank.check_answer(backbone.name)
    return network.eval()


def refuse_needless(features: object) -> None:
    """Refuse a module for a model that was trained without.

    Raises
    ------
    ModelRefusedError
    """
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
            "the registry train with features='timm:NAME', which is stored."
        )
    if not isinstance(features, nn.Module):
        raise ModelRefusedError(
            f"The model needs features=, a torch.nn.Module ({wanted}); got "
            f"{type(features).__name__}."
        )
    found = weights_digest(features)
    if found != backbone.sha256:
        raise ModelRefusedError(
            f"The model was trained with another module: wanted {wanted}; got "
            f"{_class_name(features)}, weights sha256 {found[:12]}.... Load the weights it had."
        )
    return features


def _is_modules(name: str) -> bool:
    """Tell whether a weight is one of the user's module."""
    return _MODULE in f".{name}"


def _class_name(module: nn.Module) -> str:
    kind = type(module)
    return f"{kind.__module__}.{kind.__qualname__}"
