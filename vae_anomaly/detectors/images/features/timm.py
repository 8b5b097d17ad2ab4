"""Backbones of the library timm, with weights from a local file: nothing is ever downloaded.

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

from vae_anomaly.errors import ConfigError, MissingExtraError

PREFIX: Final = "timm:"
_STRIDES: Final = (4, 16)  # finer maps hold what the fixed bank sees, coarser ones cannot locate
_MOST_LEVELS: Final = 3


class TimmFeatures(nn.Module):
    """Maps of a timm model at strides from 4 to 16, after the normalisation it was trained with.

    Parameters
    ----------
    model : nn.Module
        Of ``timm.create_model``.
    image_size : int, pixels
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, image_size: int) -> None:
        super().__init__()
        self.model = model.eval()
        known: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
        for name, usual in (("mean", (0.5,) * 3), ("std", (0.5,) * 3)):
            value = torch.tensor(known.get(name, usual))
            self.register_buffer(name, value.view(1, 3, 1, 1))
        self.places = self._places(image_size)

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
    def _places(self, size: int) -> list[int]:
        """Return which of the model's maps are taken: at most three, at equal distances."""
        sides = [maps.shape[-1] for maps in self._maps(torch.zeros(1, 3, size, size), None)]
        fit = [i for i, side in enumerate(sides) if _STRIDES[0] <= size / side <= _STRIDES[1]]
        fit = fit or list(range(len(sides)))
        spaced = torch.linspace(0, len(fit) - 1, min(_MOST_LEVELS, len(fit))).round().long()
        return [fit[i] for i in spaced.tolist()]


def build_timm(features: str, image_size: int) -> TimmFeatures:
    """Return the model that ``timm:NAME`` names, with weights that are still to be filled in.

    Raises
    ------
    MissingExtraError
        If timm is not installed.
    ConfigError
        If it has no such model, or the model gives no maps at this size.
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
        return TimmFeatures(timm.create_model(name, pretrained=False, num_classes=0), image_size)
    except (AssertionError, AttributeError, NotImplementedError, RuntimeError, ValueError) as err:
        raise ConfigError(
            f"{features} gives no maps of images of {image_size} pixels: {err}. Take its native "
            "image_size=, or a convolutional model such as timm:resnet18."
        ) from err


def read_timm(features: str, weights: str | Path | None, image_size: int) -> TimmFeatures:
    """Return the model that ``timm:NAME`` names with the weights of a local safetensors file.

    Raises
    ------
    MissingExtraError
        If timm is not installed.
    ConfigError
        If there are no weights, they cannot be read, or they are another model's.
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
            f"timm is installed and cannot be imported: {err}. Its torchvision must be the build "
            "that belongs to this torch, CPU or GPU: install both from the same index."
        ) from err


def _tensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load

    try:
        return load(path.read_bytes())  # type: ignore[no-any-return]  # safetensors is untyped
    except OSError as err:
        raise ConfigError(f"features_weights={str(path)!r} cannot be read: {err}.") from err
    except SafetensorError as err:
        raise ConfigError(
            f"{path} is no safetensors file ({err}); pickles (.pt, .pth, .bin) are never loaded. "
            "Convert it with safetensors.torch.save_file(model.state_dict(), FILE)."
        ) from err
