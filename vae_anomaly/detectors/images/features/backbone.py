"""A user's own backbone in the place of the fixed bank: the VAEs, the score and p-values stay.

The contract: the module takes images (N, C, S, S), float32 in [0, 1] and RGB where C is 3, and
returns maps (N, F, h, w), or a list of such; any further normalisation is its own. It is copied,
frozen and kept in evaluation mode. `features.channels` says what becomes of its maps.

On the processor images go through the module one by one, which for small convolutional ones takes
less than half the time of a batch, whose maps no cache holds; and an image's maps do not depend on
which others are beside it. The image that fills up a chunk goes through it once.

Code is never stored and no pickle is ever read: a saved model remembers the SHA-256 of the
module's weights and what the module said of one fixed image, and asks for the module again.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from vae_anomaly.detectors.images.features.channels import (
    MODULE_CELL,
    AllChannels,
    RandomDirections,
)
from vae_anomaly.detectors.images.features.filter_bank import BankOutput, FilterBank
from vae_anomaly.detectors.images.features.octaves import (
    CELL,
    Octaves,
    few_at_once,
    goes_whole,
)
from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.words import reason_of

_ECHO_TOLERANCE: Final = 1e-2


@dataclass(frozen=True)
class BackboneSpec:
    """What has to be known of a module to ask for it again.

    Parameters
    ----------
    name : str
        ``timm:NAME``, ``onnx:FILE`` or the class of a user's module.
    sha256 : str
        That of its weights, `weights_digest`.
    widths : tuple of int
        Channels of each of its maps.
    cell : int, pixels
        Side of a cell of the grid; 8 of models that were saved before it was written down.
    kept : {"random", "all"}
        What the VAEs see of the channels: `RandomDirections`, of such models, or `AllChannels`.
    n_maps : int
        Channels that the VAEs see at most.
    """

    name: str
    sha256: str
    widths: tuple[int, ...] = field(default=())
    cell: Annotated[int, Field(ge=4, le=64)] = CELL
    kept: Annotated[str, Field(pattern="^(random|all)$")] = "random"
    n_maps: Annotated[int, Field(ge=1, le=65536)] = 32

    @property
    def is_stored(self) -> bool:
        """Whether the module's weights are part of the saved model."""
        return self.name.startswith(("timm:", "onnx:"))

    def channels(self, image_size: int) -> AllChannels | RandomDirections:
        """Return what brings the module's maps to the channels of the VAEs, still empty."""
        kind = AllChannels if self.kept == "all" else RandomDirections
        return kind(image_size // self.cell, self.widths, self.n_maps)


class BackboneBank(nn.Module):
    """A frozen copy of a module that stands where `FilterBank` stands; see the contract above."""

    echo: Tensor

    def __init__(
        self, module: nn.Module, image_size: int, channels: int, spec: BackboneSpec
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.cell = spec.cell
        self.spec = spec
        self.backbone = _frozen(module)
        self.fixed = FilterBank(image_size, channels)  # exposure, contrast, colour, fine detail
        self.levels = spec.channels(image_size)
        self.register_buffer("echo", torch.zeros(2, self.n_channels))

    @property
    def grid(self) -> int:
        """Cells along one side of the maps."""
        return self.image_size // self.cell

    @property
    def n_channels(self) -> int:
        """Maps per image that the VAEs see."""
        return self.levels.n_channels

    @classmethod
    def fit(
        cls,
        module: nn.Module,
        image_size: int,
        channels: int,
        chunks: Iterable[Tensor],
        name: str = "module",
    ) -> BackboneBank:
        """Look at a few training images: how wide the maps are, and how they vary.

        ``chunks`` are tensors (n, channels, image_size, image_size), ``name`` is that of the
        `BackboneSpec`.

        Raises
        ------
        ConfigError
            If the module does not keep the contract.
        """
        frozen = _frozen(module)
        with torch.no_grad():
            looks = (_tried(frozen, image) for images in chunks for image in _singly(images))
            levels, widths = AllChannels.fit(image_size // MODULE_CELL, looks)
            digest, n = weights_digest(module), levels.n_channels
            spec = BackboneSpec(name, digest, tuple(widths), MODULE_CELL, "all", n)
            bank = cls(frozen, image_size, channels, spec)
            bank.levels = levels
            bank.echo.copy_(bank.answer())
        return bank

    def forward(self, images: Tensor) -> BankOutput:
        """Return maps (N, n_channels, G, G) and the bank's whole-image statistics."""
        return BankOutput.joined([features for features, _ in self.looks(images)])

    def looks(self, images: Tensor) -> Iterator[tuple[BankOutput, Octaves]]:
        """Yield what `forward` returns, and what fine detail is read from, of a few at a time."""
        parts = few_at_once(images), few_at_once(self._maps(images))
        for part, maps in zip(*parts, strict=True):
            octaves = self.fixed.octaves(part)
            yield BankOutput(maps, self.fixed.statistics(octaves)), octaves

    def _maps(self, images: Tensor) -> Tensor:
        if goes_whole(images):
            return self._maps_of(images)
        return torch.cat(list(self._one_by_one(images)))

    def _maps_of(self, images: Tensor) -> Tensor:
        maps: Tensor = self.levels(_listed(self.backbone(images)))
        return maps

    def _one_by_one(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the maps of each image; one that repeats the last is not looked at again."""
        last, maps = None, None
        for image in _singly(images):
            if last is None or maps is None or not torch.equal(image, last):
                last, maps = image, self._maps_of(image)
            yield maps

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but never that of the backbone: its statistics are not to move."""
        super().train(mode)
        self.backbone.eval()
        return self

    def answer(self) -> Tensor:
        """Return mean and sd of each channel on one fixed image, (2, n_channels)."""
        shape = (1, self.channels, self.image_size, self.image_size)
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            maps = self(image.to(self.echo.device)).maps[0].flatten(1)
        return torch.stack((maps.mean(1), maps.std(1)))

    def check_answer(self, name: str) -> None:
        """Refuse a module that has the right weights and says something else."""
        if not torch.allclose(self.answer(), self.echo, _ECHO_TOLERANCE, _ECHO_TOLERANCE):
            raise ModelRefusedError(
                f"The module for features= has the weights of {name}, with which the model was "
                "trained, but its maps of the same image differ: its code is another version. "
                "Give the module as it was, or train again."
            )

    def coarse_image(self, images: Tensor, maps: Tensor) -> Tensor:
        """Refuse: maps of a user's module stand for no image."""
        raise _no_images()

    def draw(self, maps: Tensor, slow: Tensor, spread: Tensor) -> Tensor:
        """Refuse: maps of a user's module stand for no image."""
        raise _no_images()


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of a module's state_dict: names, types, shapes and values.

    Examples
    --------
    >>> layer = nn.Linear(2, 2)
    >>> weights_digest(layer) == weights_digest(copy.deepcopy(layer))
    True
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(flat.numpy().tobytes())
    return digest.hexdigest()


def _frozen(module: nn.Module) -> nn.Module:
    """Return a copy on the processor that learns nothing and does not change."""
    own: nn.Module = copy.deepcopy(module).cpu().eval()
    return own.requires_grad_(requires_grad=False)


def _singly(images: Tensor) -> list[Tensor]:
    """Return images (N, C, S, S) as N batches of one."""
    return [images[k : k + 1] for k in range(len(images))]


def _listed(answer: Any) -> list[Tensor]:
    return list(answer) if isinstance(answer, list | tuple) else [answer]


def _tried(module: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the module's maps; say in its user's words what breaks the contract."""
    try:
        maps = _listed(module(images))
    except Exception as err:
        raise ConfigError(
            f"The module for features= failed on images {tuple(images.shape)}, float32 in [0, 1]: "
            f"{type(err).__name__}: {reason_of(err)}. It must take (N, C, H, W); channels=3 gives "
            "it colour, image_size= another size."
        ) from err
    n = len(images)
    shapes = [tuple(m.shape) if isinstance(m, Tensor) else type(m).__name__ for m in maps]
    if not maps or not all(isinstance(m, Tensor) and m.ndim == 4 and len(m) == n for m in maps):
        raise ConfigError(
            "The module for features= must return maps (N, F, h, w), or a list of such, for "
            f"images {tuple(images.shape)}; got {shapes}. Cut off what pools or classifies."
        )
    if not all(bool(torch.isfinite(m).all()) for m in maps):
        raise ConfigError(
            f"The module for features= returned NaN or infinity among its maps {shapes}. Look at "
            "its weights and its normalisation: it gets images in [0, 1]."
        )
    return maps


def _no_images() -> ConfigError:
    return ConfigError(
        "Latents of a model with features= are those of the module's maps, which stand for no "
        "image: there is nothing to draw. heatmap() and transform() work; for images train "
        "without features=."
    )
