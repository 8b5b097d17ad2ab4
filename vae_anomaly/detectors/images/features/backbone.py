"""A user's own backbone in the place of the fixed bank: the VAEs, the score and p-values stay.

The contract: the module takes images (N, C, S, S), float32 in [0, 1] and RGB where C is 3, and
returns maps (N, F, h, w), or a list of such; any further normalisation is its own. It is copied,
frozen and kept in evaluation mode. All maps come to the bank's grid of one cell per 8 x 8
pixels (averaged where larger, interpolated where smaller), channels are standardised by a few
training images, and what is wider than `MAX_MAPS` channels is projected on fixed random
directions, which keep distances (Johnson and Lindenstrauss) and bound the cost.

Code is never stored and no pickle is ever read: a saved model remembers the SHA-256 of the
module's weights and what the module said of one fixed image, and asks for the module again.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from vae_anomaly.detectors.images.features.filter_bank import CELL, BankOutput, FilterBank
from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.words import reason_of

MAX_MAPS: Final = 32
"""Channels that the VAEs see at most, shared evenly by the module's maps."""

_SPREAD_FLOOR: Final = 1e-6
_ECHO_TOLERANCE: Final = 1e-2


@dataclass(frozen=True)
class BackboneSpec:
    """What has to be known of a module to ask for it again.

    The name is ``timm:NAME`` or the class of a user's module, ``sha256`` that of its weights,
    `weights_digest`; ``widths`` are the channels of each of its maps.
    """

    name: str
    sha256: str
    widths: tuple[int, ...] = field(default=())

    @property
    def is_stored(self) -> bool:
        """Whether the module's weights are part of the saved model."""
        return self.name.startswith("timm:")


class _Level(nn.Module):
    """One map of the backbone: standardised channels, projected where there are too many."""

    mean: Tensor
    spread: Tensor
    directions: Tensor

    def __init__(self, width: int, n_kept: int, seed: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("directions", _directions(width, n_kept, seed))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, kept, G, G) of (N, width, G, G)."""
        standard = (maps - self.mean[:, None, None]) / self.spread[:, None, None]
        projected: Tensor = functional.conv2d(standard, self.directions[:, :, None, None])
        return projected


class BackboneBank(nn.Module):
    """A frozen copy of a module that stands where `FilterBank` stands; see the contract above.

    ``widths`` are the channels of each map that the module returns.
    """

    echo: Tensor

    def __init__(
        self, module: nn.Module, image_size: int, channels: int, widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.grid = image_size // CELL
        self.backbone = _frozen(module)
        self.fixed = FilterBank(image_size, channels)  # exposure, contrast, colour
        most = max(1, MAX_MAPS // len(widths))
        sizes = [min(width, most) for width in widths]
        self.n_channels = sum(sizes)
        self.levels = nn.ModuleList(
            _Level(width, n, seed)
            for seed, (width, n) in enumerate(zip(widths, sizes, strict=True))
        )
        self.register_buffer("echo", torch.zeros(2, self.n_channels))

    @classmethod
    def fit(
        cls, module: nn.Module, image_size: int, channels: int, chunks: Iterable[Tensor]
    ) -> BackboneBank:
        """Look at a few training images: how wide the maps are, and how they vary.

        ``chunks`` are tensors (n, channels, image_size, image_size).

        Raises
        ------
        ConfigError
            If the module does not keep the contract.
        """
        frozen, grid, moments = _frozen(module), image_size // CELL, _Moments()
        with torch.no_grad():
            for images in chunks:
                moments.add([_on_grid(maps, grid) for maps in _tried(frozen, images)])
            bank = cls(frozen, image_size, channels, moments.widths)
            for level, (mean, spread) in zip(bank.levels, moments.of_each(), strict=True):
                level.get_buffer("mean").copy_(mean)
                level.get_buffer("spread").copy_(spread)
            bank.echo.copy_(bank.answer())
        return bank

    def forward(self, images: Tensor) -> BankOutput:
        """Return maps (N, n_channels, G, G) and the bank's whole-image statistics."""
        parts = [_on_grid(maps, self.grid) for maps in _listed(self.backbone(images))]
        maps = [level(part) for level, part in zip(self.levels, parts, strict=True)]
        return BankOutput(torch.cat(maps, 1), self.fixed(images).statistics)

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


class _Moments:
    """Mean and sd of each channel of each map, over images and positions."""

    def __init__(self) -> None:
        self.sums: list[Tensor] = []
        self.n = 0

    def add(self, levels: Sequence[Tensor]) -> None:
        now = [
            torch.stack((part.mean((0, 2, 3)), part.square().mean((0, 2, 3)))) * len(part)
            for part in (maps.double() for maps in levels)
        ]
        self.sums = [a + b for a, b in zip(self.sums, now, strict=True)] if self.sums else now
        self.n += len(levels[0])

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(total.shape[1] for total in self.sums)

    def of_each(self) -> list[tuple[Tensor, Tensor]]:
        """Return mean and sd (F,) of each map; a channel that never moves keeps its unit."""
        moments = []
        for mean, square in (total / self.n for total in self.sums):
            sd = (square - mean.square()).clamp(min=0.0).sqrt()
            moments.append((mean, torch.where(sd > _SPREAD_FLOOR, sd, torch.ones_like(sd))))
        return moments


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


def _directions(width: int, n_kept: int, seed: int) -> Tensor:
    """Return orthonormal directions (n_kept, width); every channel itself where all are kept."""
    if n_kept == width:
        return torch.eye(width)
    drawn = torch.randn(width, n_kept, generator=torch.Generator().manual_seed(seed))
    directions: Tensor = torch.linalg.qr(drawn.double())[0].T.float().contiguous()
    return directions


def _on_grid(maps: Tensor, grid: int) -> Tensor:
    """Bring maps (N, F, h, w) to (N, F, grid, grid), float32."""
    maps = maps.float()
    if maps.shape[2:] == (grid, grid):
        return maps
    if min(maps.shape[2:]) >= grid:
        return functional.adaptive_avg_pool2d(maps, grid)
    return functional.interpolate(maps, (grid, grid), mode="bilinear", align_corners=False)


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
