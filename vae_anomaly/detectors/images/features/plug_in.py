"""Where ``features=`` enters the image detector: checked, plugged in, stored and restored.

A backbone of the library timm takes its weights from a local file: nothing is ever downloaded.

References
----------
Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from vae_anomaly.arrays import Arrays
from vae_anomaly.detectors.images.features.backbone import (
    BackboneBank,
    BackboneSpec,
    weights_digest,
)
from vae_anomaly.detectors.images.features.channels import MODULE_CELL
from vae_anomaly.errors import ConfigError, MissingExtraError, ModelRefusedError
from vae_anomaly.words import reason_of

_MODULE: Final = ".bank.backbone."
_TWICE: Final = ("halves.0.bank.", "halves.1.bank.")  # both halves of `TiledNetwork` share one

Built = TypeVar("Built", bound=nn.Module)

PREFIX: Final = "timm:"

_COARSEST: Final = 16  # a map with larger strides cannot tell where
_MOST_LEVELS: Final = 3


def check_features(features: object, weights: object, model: str, pose: str) -> None:
    """Refuse features that are no backbone, or that the other parameters do not go with."""
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

    ``weights`` is the file of those of "timm:NAME"; ``chunks`` are a few training images, tensors
    (n, channels, image_size, image_size).

    Raises
    ------
    ConfigError
        If the module does not keep the contract, or its weights cannot be read.
    MissingExtraError
        If timm is needed and not installed.
    """
    module = read_timm(features, weights, image_size) if isinstance(features, str) else features
    name = features if isinstance(features, str) else _class_name(module)
    bank = BackboneBank.fit(module, image_size, channels, chunks, name)
    return bank.spec, bank


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
        module: nn.Module = build_timm(backbone.name, image_size, backbone.cell)
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
            "the registry train with features='timm:NAME', which is stored."
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


class TimmFeatures(nn.Module):
    """Maps of a timm model, after the normalisation it was trained with.

    Their strides are from half a ``cell`` of the grid to 16 pixels: finer maps hold little that an
    average over a cell would keep.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, image_size: int, cell: int = MODULE_CELL) -> None:
        super().__init__()
        self.model = model.eval()
        known: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
        for name, usual in (("mean", (0.5,) * 3), ("std", (0.5,) * 3)):
            value = torch.tensor(known.get(name, usual))
            self.register_buffer(name, value.view(1, 3, 1, 1))
        self.places = self._places(image_size, cell / 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return maps (N, F, h, w) of images (N, 1 or 3, S, S) in [0, 1]."""
        colour = images if images.shape[1] == 3 else images.repeat(1, 3, 1, 1)
        return self._maps((colour - self.mean) / self.std, self.places)

    def _maps(self, x: Tensor, places: list[int] | None) -> list[Tensor]:
        maps: list[Tensor] = self.model.forward_intermediates(  # type: ignore[operator]  # timm is not typed
            x, indices=places, intermediates_only=True
        )
        return maps

    @torch.no_grad()
    def _places(self, size: int, finest: float) -> list[int]:
        """Return which of the model's maps are taken: at most three, at equal distances."""
        sides = [maps.shape[-1] for maps in self._maps(torch.zeros(1, 3, size, size), None)]
        fit = [i for i, side in enumerate(sides) if finest <= size / side <= _COARSEST]
        fit = fit or list(range(len(sides)))
        spaced = torch.linspace(0, len(fit) - 1, min(_MOST_LEVELS, len(fit))).round().long()
        return [fit[i] for i in spaced.tolist()]


def build_timm(features: str, image_size: int, cell: int = MODULE_CELL) -> TimmFeatures:
    """Return the model that ``timm:NAME`` names, with weights that are still to be filled in.

    Its maps are those for a grid of such cells, in pixels.

    Raises
    ------
    MissingExtraError, ConfigError
        If timm is not installed, has no such model, or the model gives no maps at this size.
    """
    name = features.removeprefix(PREFIX)
    timm = _timm()
    if ":" in name or "/" in name or not timm.is_model(name):  # timm would ask the network
        near = timm.list_models(f"*{name.split('_')[0].split('.')[0][:8]}*")[:5]
        raise ConfigError(
            f"timm knows no model {name!r}; names with ':' or '/', which it would download, are "
            f"not taken. Close to it: {', '.join(near) or 'none'}."
        )
    try:
        model = timm.create_model(name, pretrained=False, num_classes=0)
        return TimmFeatures(model, image_size, cell)
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, ValueError) as err:
        raise ConfigError(
            f"{features} gives no maps of images of {image_size} pixels: {reason_of(err)}. Take "
            "its native image_size=, or a convolutional model such as timm:resnet18."
        ) from err


def read_timm(features: str, weights: str | Path | None, image_size: int) -> TimmFeatures:
    """Return the model that ``timm:NAME`` names with the weights of a local safetensors file.

    It raises what `build_timm` does, and ConfigError where weights are missing or another model's.
    """
    if weights is None:
        raise ConfigError(
            f"features={features!r} needs features_weights=, a local .safetensors file: weights "
            "are never downloaded."
        )
    built = build_timm(features, image_size)
    given = _tensors(Path(weights))
    wanted = built.model.state_dict()
    lost = sorted(set(wanted) - set(given))
    bent = [k for k in wanted if k in given and given[k].shape != wanted[k].shape]
    if lost or bent:
        raise ConfigError(
            f"{weights} does not hold the weights of {features}: missing {lost[:3] or 'none'}, of "
            f"another shape {bent[:3] or 'none'}. Give the file of the whole model."
        )
    built.model.load_state_dict({name: given[name] for name in wanted})
    return built.eval()


def _timm() -> Any:
    try:
        return import_module("timm")
    except ImportError as err:
        raise MissingExtraError(
            f"features='timm:...' needs {err.name}, which is not installed: "
            "pip install 'vae_anomaly[timm]'"
        ) from None
    except RuntimeError as err:
        raise MissingExtraError(
            f"timm is installed and cannot be imported: {reason_of(err)}. Its torchvision must be "
            "the build that belongs to this torch, CPU or GPU: install both from the same index."
        ) from err


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return load(path.read_bytes())  # type: ignore[no-any-return]  # safetensors is untyped
    except OSError as err:
        raise ConfigError(
            f"features_weights={str(path)!r} cannot be read: {reason_of(err)}."
        ) from err
    except SafetensorError as err:
        raise ConfigError(
            f"{path} is no safetensors file ({err}); pickles (.pt, .pth, .bin) are never loaded. "
            "Convert it with safetensors.torch.save_file(model.state_dict(), FILE)."
        ) from err
