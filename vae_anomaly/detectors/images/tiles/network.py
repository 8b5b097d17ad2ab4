"""Large images at their own resolution: tile by tile, one image at a time.

Two networks, each trained on the tiles of one half of the training images, inspect every tile;
the maps of an image's tiles are joined without seams. Where the training images show the same
thing at the same place (a circuit board, not a fabric), maps are first put in units of what is
usual at that place of the large image: the networks then see tiles of one kind, wherever they
lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from vae_anomaly.arrays import AnyArray, AnyFloats
from vae_anomaly.detectors.images.features.backbone import BackboneBank
from vae_anomaly.detectors.images.features.filter_bank import BankOutput
from vae_anomaly.detectors.images.features.octaves import CELL
from vae_anomaly.detectors.images.features.smoothing import blur
from vae_anomaly.detectors.images.networks.bank import (
    BankNetwork,
    NetworkOutput,
    NetworkSpec,
    combined,
    mean_of,
)
from vae_anomaly.detectors.images.networks.residuals import MapScale, Standardiser
from vae_anomaly.detectors.images.tiles.grid import TileGrid
from vae_anomaly.errors import ImageError

_SPREAD_PRIOR: Final = 5.0  # images that the common variance of a channel is worth


@dataclass(frozen=True)
class TileLayout:
    """How images are cut.

    Parameters
    ----------
    tile_size : int, pixels
    overlap : float in [0, 0.5]
    height, width : int, pixels
        Of the first training image; heatmaps come on its grid.
    aligned : bool
        Training images show the same thing at the same place; all have that one size then.
    cell : int, pixels
        Side of a cell of the maps.
    """

    tile_size: int
    overlap: float
    height: int
    width: int
    aligned: bool = False
    cell: int = CELL

    def grid(self, height: int | None = None, width: int | None = None) -> TileGrid:
        """Return the tiles of an image, by default of one like those of training."""
        return TileGrid(
            height or self.height, width or self.width, self.tile_size, self.overlap, self.cell
        )

    def grid_of(self, name: str, pixels: AnyArray) -> TileGrid:
        """Return the tiles of an image; refuse one that holds none, or has the wrong size."""
        height, width = pixels.shape[:2]
        if min(height, width) < self.tile_size:
            fitting = min(height, width) // 16 * 16
            remedy = f"a tile_size of at most {fitting}, or " if fitting >= 64 else ""
            raise ImageError(
                f"{name} has {height} x {width} pixels, less than a tile of {self.tile_size}. "
                f"Train with {remedy}without tile_size: images are then resized as a whole.",
                code="size",
            )
        if self.aligned and (height, width) != (self.height, self.width):
            raise ImageError(
                f"{name} has {height} x {width} pixels. The images of training had "
                f"{self.height} x {self.width}, and showed the same thing at the same place: each "
                "place is compared with itself. Bring it to that size, or train with pose='any' to "
                "leave places out of account.",
                code="size",
            )
        return self.grid(height, width)


class TiledNetwork(nn.Module):
    """Two networks on tiles, what is usual at each place, and the scale of their maps.

    Parameters
    ----------
    halves : sequence of two BankNetwork
        Each has seen the images of its own half, and is calibrated on those of the other; both may
        have one `BackboneBank`.
    scored : str
        As `NetworkSpec.scored`: "shown" of models saved before the linear level was scored alone.
    """

    def __init__(
        self, halves: Sequence[BankNetwork], layout: TileLayout, scored: str = "shown"
    ) -> None:
        super().__init__()
        self.layout = layout
        self.scored = scored
        self.halves = nn.ModuleList(halves)
        bank = halves[0].bank
        shape = (len(layout.grid()), bank.n_channels, bank.grid, bank.grid)
        n_positions = len(halves) if layout.aligned else 0
        self.positions = nn.ModuleList(Standardiser(shape) for _ in range(n_positions))
        self.scales = nn.ModuleList(MapScale() for _ in halves)
        n_scored = len(halves) if self.has_two_maps else 0
        self.scored_scales = nn.ModuleList(MapScale() for _ in range(n_scored))

    @property
    def has_two_maps(self) -> bool:
        """Whether another map is scored than is shown."""
        return self.scored != "shown"

    @property
    def spec(self) -> NetworkSpec:
        """Shapes of the first network, and which map is scored."""
        return replace(self._half(0).spec, scored=self.scored)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` builds an empty network of the same shape from."""
        specs = [self._half(k).spec.to_dict() for k in range(len(self.halves))]
        return {"layout": asdict(self.layout), "halves": specs, "scored": self.scored}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], bank: BackboneBank | None = None) -> TiledNetwork:
        """Build an empty network."""
        halves = [BankNetwork(NetworkSpec.from_dict(spec), bank) for spec in values["halves"]]
        return cls(halves, TileLayout(**values["layout"]), values.get("scored", "shown"))

    def set_scales(self, shown: AnyFloats, scored: AnyFloats) -> None:
        """Put each half's maps on the scale of the held-out normals that it judged.

        ``shown`` and ``scored`` (K, 2) hold mean and sd of each half's maps; ``scored`` is left out
        where there is one map only.
        """
        for scales, values in ((self.scales, shown), (self.scored_scales, scored)):
            for scale, (mean, spread) in zip(scales, values.tolist(), strict=False):
                scale.get_buffer("mean").fill_(mean)
                scale.get_buffer("spread").fill_(spread)

    def standardised(self, half: int, maps: Tensor, numbers: Tensor) -> Tensor:
        """Return the bank's maps of tiles as a half's network takes them."""
        if not self.layout.aligned:
            return maps
        standard: Tensor = self.positions[half](maps, numbers)
        return standard

    def forward(self, images: Tensor, numbers: Tensor, halves: Sequence[int]) -> NetworkOutput:
        """Inspect tiles (N, C, T, T) at the places ``numbers``; the mean over the halves asked."""
        features = self._half(0).bank(images)
        return combined([self._by(k, features, numbers) for k in halves], mean_of)

    def _by(self, half: int, features: BankOutput, numbers: Tensor) -> NetworkOutput:
        """Return what one half's network says of tiles, in sd of held-out normals."""
        maps = self.standardised(half, features.maps, numbers)
        output = self._half(half).inspect(BankOutput(maps, features.statistics))
        heatmap = self.scales[half](output.heatmap)
        if not self.has_two_maps:
            return replace(output, heatmap=heatmap, score_map=heatmap)
        return replace(
            output, heatmap=heatmap, score_map=self.scored_scales[half](output.score_map)
        )

    def grounds(self, halves: Sequence[int] = (0, 1)) -> tuple[float, float]:
        """Return what shown and scored map have where nothing is looked at: the usual."""
        both = (self.scales, self.scored_scales if self.has_two_maps else self.scales)
        shown, scored = (
            float(np.mean([float(scales[k](torch.zeros(()))) for k in halves])) for scales in both
        )
        return shown, scored

    def _half(self, k: int) -> BankNetwork:
        half = self.halves[k]
        assert isinstance(half, BankNetwork)  # noqa: S101 - a ModuleList does not say so
        return half


class PlaceMoments:
    """Running mean and variance (Welford) of maps at the places of a large image, (K, C, g, g)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n = 0
        self.mean = torch.zeros(shape)
        self.squares = torch.zeros(shape)
        self.known = torch.zeros(shape[0], dtype=torch.bool)

    def add(self, place: Tensor, maps: Tensor) -> None:
        """Take in the maps (m, C, g, g) of an image's tiles ``place`` (m,); it is the last of n.

        Every image has the same tiles; those that are background in all of them never come.
        """
        self.known[place] = True
        change = maps - self.mean[place]
        self.mean[place] += change / self.n
        self.squares[place] += change * (maps - self.mean[place])

    def share_left(self) -> float:
        """Return how much of the variance is left when the place in the large image is known.

        Expected squared error of predicting a new image by the mean at the same place, beside that
        by the mean at the same place of any tile; mean over channels. Above 1 where a place says
        nothing.
        """
        within = self.squares[self.known] / max(self.n - 1, 1)
        total = within.mean(0) + self.mean[self.known].var(0, correction=0)
        known = within.mean(dim=(0, 2, 3)) * (1.0 + 1.0 / self.n)
        return float((known / total.mean(dim=(1, 2)).clamp(min=1e-12)).mean())

    def positions(self) -> Standardiser:
        """Return the places' means, and sds smoothed over neighbours and drawn to the channel's."""
        variance = blur(self.squares / max(self.n - 1, 1), 1.0)
        common = variance[self.known].mean(dim=(0, 2, 3), keepdim=True)
        drawn = (self.n * variance + _SPREAD_PRIOR * common) / (self.n + _SPREAD_PRIOR)
        positions = Standardiser(tuple(self.mean.shape))
        positions.mean.copy_(self.mean)
        positions.spread.copy_((drawn + 1e-3).sqrt())
        return positions

    def unseen(self, maps: Tensor, clean: Tensor, numbers: Tensor) -> Tensor:
        """Standardise maps (m, C, g, g) of training tiles as if their images were not in the means.

        The maps are of the tiles ``numbers`` (m,), or of corrupted copies; ``clean`` are the tiles'
        own.
        """
        positions = self.positions()
        own = (clean - self.mean[numbers]) / (self.n - 1)
        standard: Tensor = positions(maps, numbers) + own / positions.spread[numbers]
        return standard
