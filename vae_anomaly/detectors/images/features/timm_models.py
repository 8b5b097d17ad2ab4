"""Backbones of the library timm: which of their maps are taken, and where their weights come from.

Weights are a safetensors file: given, found in timm's own cache, or fetched into it where the user
says so. No pickle is ever read, and the network is never asked unless told.

References
----------
Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from vae_anomaly.detectors.images.features.channels import MODULE_CELL
from vae_anomaly.errors import ConfigError, MissingExtraError
from vae_anomaly.files import in_home
from vae_anomaly.words import reason_of

TIMM: Final = "timm:"

_COARSEST: Final = 16  # a map with larger strides cannot tell where
_MOST_LEVELS: Final = 3
_HUB_FILE: Final = "model.safetensors"
_NO_MAPS: Final = (AssertionError, AttributeError, NotImplementedError, RuntimeError, ValueError)


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

    def prune(self) -> None:
        """Take away the layers behind the last map, where timm knows how."""
        prune = getattr(self.model, "prune_intermediate_layers", None)
        if prune is not None:
            prune(self.places, prune_norm=True, prune_head=True)

    def _maps(self, x: Tensor, places: list[int] | None) -> list[Tensor]:
        maps: list[Tensor] = self.model.forward_intermediates(  # type: ignore[operator]  # timm is not typed
            x, indices=places, stop_early=True, intermediates_only=True
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
    timm = timm_itself()
    name = _known(timm, features)
    try:
        model = timm.create_model(name, pretrained=False, num_classes=0)
        return TimmFeatures(model, image_size, cell)
    except _NO_MAPS as err:
        raise ConfigError(
            f"{features} gives no maps of images of {image_size} pixels: {reason_of(err)}. Take "
            "its native image_size=, or a convolutional model such as timm:resnet18."
        ) from err


def restore_timm(features: str, image_size: int, cell: int, stored: set[str]) -> TimmFeatures:
    """Return the model of a saved detector, shaped for the weights of the names ``stored``."""
    built = build_timm(features, image_size, cell)
    if not set(built.state_dict()) <= stored:
        built.prune()
    return built


def read_timm(features: str, weights: str | Path, image_size: int) -> TimmFeatures:
    """Return the model that ``timm:NAME`` names with the weights of a local safetensors file.

    It raises what `build_timm` does, and ConfigError where weights are missing or another model's.
    """
    built = build_timm(features, image_size)
    given = _tensors(in_home(weights))
    wanted = built.model.state_dict()
    lost = sorted(set(wanted) - set(given))
    bent = [k for k in wanted if k in given and given[k].shape != wanted[k].shape]
    if lost or bent:
        raise ConfigError(
            f"{weights} does not hold the weights of {features}: missing {lost[:3] or 'none'}, of "
            f"another shape {bent[:3] or 'none'}. Give the file of the whole model."
        )
    built.model.load_state_dict({name: given[name] for name in wanted})
    built.prune()
    return built.eval()


def cached_weights(features: str) -> Path | None:
    """Return the file of weights that timm's cache holds; nothing is fetched.

    It raises what `timm_itself` does, and ConfigError for a model that timm does not know.
    """
    repository, revision = _at_hub(features)
    if repository is None:
        return None
    hub = import_module("huggingface_hub")
    found = hub.try_to_load_from_cache(repository, _HUB_FILE, revision=revision)
    return Path(found) if isinstance(found, str) else None


def fetched_weights(features: str) -> Path:
    """Return the file of weights, fetched into timm's cache where it is not there yet.

    Raises
    ------
    ConfigError
        If timm names no place for them, or that does not give them.
    """
    repository, revision = _at_hub(features)
    if repository is None:
        raise ConfigError(
            f"timm names no safetensors weights of {features} that could be downloaded. Take "
            "another model, or give a local file: features_weights=FILE.safetensors."
        )
    hub = import_module("huggingface_hub")
    try:
        return Path(hub.hf_hub_download(repository, _HUB_FILE, revision=revision))
    except Exception as err:
        raise ConfigError(
            f"The weights of {features} ({repository}) could not be downloaded: "
            f"{type(err).__name__}: {reason_of(err)}. Try again with a connection, or bring "
            f"{_HUB_FILE} from a machine that has one: features_weights=FILE (--features-weights)."
        ) from err


def licence_of(features: str) -> str | None:
    """Return the licence of a model's weights as timm states it; None where it states none."""
    timm = timm_itself()
    licence: str | None = getattr(timm.get_pretrained_cfg(_known(timm, features)), "license", None)
    return licence


def named_by(file: Path) -> str | None:
    """Return "timm:NAME" for a file that is called like a model of timm, else None.

    ``resnet18.a1_in1k.safetensors`` is the model ``resnet18.a1_in1k``.
    """
    timm = timm_itself()
    return f"{TIMM}{file.stem}" if timm.is_model(file.stem) else None


def timm_itself() -> Any:
    """Return timm.

    Raises
    ------
    MissingExtraError
        If it is not installed, or cannot be imported.
    """
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


def _known(timm: Any, features: str) -> str:
    """Return the name of a model; refuse one that timm would look for in the network."""
    name = features.removeprefix(TIMM)
    if ":" in name or "/" in name or not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0].split('.')[0][:8]}*")[:5]
        raise ConfigError(
            f"timm knows no model {name!r}; names with ':' or '/', which it would download, are "
            f"not taken. Close to it: {', '.join(near) or 'none'}."
        )
    return name


def _at_hub(features: str) -> tuple[str | None, str | None]:
    """Return repository and revision of timm's weights; none where they are pickles."""
    timm = timm_itself()
    config = timm.get_pretrained_cfg(_known(timm, features))
    repository, _, revision = str(getattr(config, "hf_hub_id", None) or "").partition("@")
    return repository or None, revision or None


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
